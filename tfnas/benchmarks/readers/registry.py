"""Every reader of official benchmark files by name; a reader makes a compact table."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

from tfnas import artefacts
from tfnas.benchmarks.settings import ArchiveSettings, OfficialFileSettings
from tfnas.benchmarks.table import CompactTable
from tfnas.settings import configured
from tfnas.spaces import NASBench101, NASBench201, NATSSize


@dataclasses.dataclass(frozen=True)
class Reader:
    """A row of `READERS`.

    Attributes:
      name: name in flags.
      file: name of the compact table that the reader makes, without suffix.
      config: frozen dataclass of the reader's settings.
      read: function from an official file or folder, the path of the table and settings to the table.
    """

    name: str
    file: str
    config: type
    read: Callable[[artefacts.PathLike, pathlib.Path, Any], CompactTable]

    def convert(self, source: artefacts.PathLike, folder: pathlib.Path, **settings: Any) -> CompactTable:
        """Converts an official file to a compact table.

        Args:
          source: official file, or folder of an unpacked archive.
          folder: existing folder that gets the table.
          **settings: values of fields of `config`.

        Raises:
          ConfigurationError: a setting is missing or belongs to another reader, or a package is not installed.
          CorruptArtefactError: the official file is damaged.
        """
        chosen = configured(self.name, {row.name: row.config for row in READERS.values()}, settings)
        return self.read(source, folder / f"{self.file}.npz", chosen)


def _nasbench101(source: artefacts.PathLike, target: pathlib.Path, settings: OfficialFileSettings) -> CompactTable:
    from tfnas.benchmarks.readers import nasbench101

    return nasbench101.convert(source, target, settings.records)


def _archive(kind: str, source: artefacts.PathLike, target: pathlib.Path, settings: ArchiveSettings) -> CompactTable:
    from tfnas.benchmarks.readers import nats_bench

    return nats_bench.convert(source, target, kind, allow_pickle=settings.allow_pickle)


READERS: dict[str, Reader] = {
    row.name: row
    for row in (
        Reader("nasbench101", NASBench101.name, OfficialFileSettings, _nasbench101),
        Reader("nats_tss", NASBench201.name, ArchiveSettings, functools.partial(_archive, "tss")),
        Reader("nats_sss", NATSSize.name, ArchiveSettings, functools.partial(_archive, "sss")),
    )
}
"""All readers of official files by name."""

"""Sharded TFRecord files with a manifest: how every corpus lies on the disk.

A corpus is a folder of files such as `graphs-00000-of-00008.tfrecord`; record i lies in shard `i mod 8`. The manifest
has the number of records and the SHA-256 of every shard. Readers check both, because a TFRecord reader takes a file cut
inside a record header for its end.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict

import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.typed import Natural

SUFFIX = ".tfrecord"
_FRAME = 16  # bytes around every record
_READ_AT_ONCE = 64


def names(name: str, count: int) -> list[str]:
    """Names of the shards of a corpus.

    Example:
      >>> names("cells", 2)
      ['cells-00000-of-00002.tfrecord', 'cells-00001-of-00002.tfrecord']
    """
    return [f"{name}-{shard:05d}-of-{count:05d}{SUFFIX}" for shard in range(count)]


def write(folder: pathlib.Path, name: str, records: Iterable[bytes], num_shards: int) -> list[int]:
    """Writes the shards of a corpus into a folder that no reader sees yet.

    Args:
      folder: folder of `artefacts.atomic_folder`.
      name: beginning of the names of files.
      records: serialised records; a generator is not kept.
      num_shards: number of files.

    Returns:
      Number of records of each shard.

    Raises:
      ConfigurationError: `num_shards` below 1.
    """
    if num_shards < 1:
        raise ConfigurationError(f"num_shards={num_shards}, expected at least 1")
    total = 0
    with contextlib.ExitStack() as stack:
        files = [str(folder / file) for file in names(name, num_shards)]
        writers = [stack.enter_context(tf.io.TFRecordWriter(file)) for file in files]
        for record in records:
            writers[total % num_shards].write(record)
            total += 1
    return [len(range(shard, total, num_shards)) for shard in range(num_shards)]


class Facts(TypedDict):
    """Entries of the manifest of a corpus: the number of records of each shard, and of all."""

    records: list[Natural]
    total: Natural


def read_manifest(folder: artefacts.PathLike, kind: str, facts: Any, *, check_files: bool = True) -> dict[str, Any]:
    """Reads the manifest of a corpus.

    Args:
      folder: folder of the corpus.
      kind: kind of the corpus.
      facts: `TypedDict` of the kind's entries.
      check_files: False to leave the files unread.

    Raises:
      CorruptArtefactError: see `artefacts.read_manifest`; numbers of records that contradict each other or the files.
    """
    read = artefacts.read_manifest if check_files else artefacts.parse_manifest
    manifest = read(folder, kind=kind, facts=facts)
    sizes = [manifest["files"][name]["bytes"] for name in files_of(manifest)]
    records = manifest["records"]
    rows = [len(range(shard, manifest["total"], len(records))) for shard in range(len(records))]
    if not sizes or records != rows or len(sizes) != len(records):
        raise CorruptArtefactError(
            f"{folder}: {len(sizes)} files, records {str(records)[:60]} and total {manifest['total']} do not agree"
        )
    for count, size in zip(records, sizes, strict=True):
        if count * _FRAME > size:
            raise CorruptArtefactError(f"{folder}: {count} records in a file of {size} bytes, which has not the room")
    for path in paths(folder, manifest) if check_files else ():
        check_frames(path)
    return manifest


def check_frames(path: pathlib.Path) -> None:
    """Checks that the lengths of records add up to the file: TensorFlow takes memory for whatever length it reads.

    Raises:
      CorruptArtefactError: a record that reaches beyond the file.
    """
    size, offset, number = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            start, number = offset, number + 1
            offset += int.from_bytes(file.read(8), "little") + _FRAME
    if offset != size:
        raise CorruptArtefactError(f"{path}: record {number - 1} at byte {start} reaches beyond {size} bytes")


def files_of(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the shards in a manifest, in order."""
    return [name for name in sorted(manifest["files"]) if name.endswith(SUFFIX)]


def paths(folder: artefacts.PathLike, manifest: Mapping[str, Any]) -> list[pathlib.Path]:
    """The shards that a manifest names, in order."""
    return [pathlib.Path(folder) / name for name in files_of(manifest)]


def read(folder: artefacts.PathLike, manifest: Mapping[str, Any]) -> Iterator[bytes]:
    """The records of a corpus in the order in which they were written.

    Args:
      folder: folder of the corpus.
      manifest: manifest of the corpus, whose files were checked.

    Raises:
      CorruptArtefactError: a record is missing.
    """
    readers = [read_file(path) for path in paths(folder, manifest)]
    for number in range(manifest["total"]):
        record = next(readers[number % len(readers)], None)
        if record is None:
            raise CorruptArtefactError(f"{folder}: record {number} is missing, {manifest['total']} were expected")
        yield record


def write_file(path: pathlib.Path, records: Iterable[bytes]) -> None:
    """Writes a single file of records, atomically."""
    with tempfile.TemporaryDirectory() as folder:
        staging = pathlib.Path(folder) / "shard"
        with tf.io.TFRecordWriter(str(staging)) as writer:
            for record in records:
                writer.write(record)
        with artefacts.atomic_file(path) as file:
            file.write(staging.read_bytes())


def read_file(path: pathlib.Path) -> Iterator[bytes]:
    """The records of a single file.

    Raises:
      CorruptArtefactError: the file is no TFRecord file.
    """
    check_frames(path)
    try:
        for records in tf.data.TFRecordDataset(str(path)).batch(_READ_AT_ONCE):
            yield from records.numpy()
    except tf.errors.OpError as error:
        raise CorruptArtefactError(f"{path}: not a file of records ({str(error).splitlines()[0]})") from error

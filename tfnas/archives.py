"""Arrays of `.npz` archives, whose headers are read and bounded before any array is.

An archive is foreign bytes: its headers may declare more than the machine can hold, a pickled object, or a method of
compression that nobody writes. Such an archive ends in a `CorruptArtefactError`, before memory is taken.
"""

import math
import os
import zipfile
from typing import BinaryIO

import numpy as np

from tfnas.errors import CorruptArtefactError

LARGEST_BYTES = 1 << 30
"""Bytes that the arrays of any archive may take."""
LARGEST_RATIO = 20
"""Bytes of arrays per byte of the file, that archives of larger arrays may reach."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_FORMAT = (1, 0)  # of arrays; later formats are for records


def read_arrays(file: BinaryIO, name: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every array of an archive as `np.savez` writes it.

    Args:
      file: content of the archive.
      name: path of the archive for the text of an error.

    Raises:
      CorruptArtefactError: the archive is truncated or damaged, has arrays of objects or records, or its arrays take
        more than `LARGEST_BYTES` and more than `LARGEST_RATIO` times the file; the error names the array and its place.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    where, arrays = f"the list of arrays at byte {size}", {}
    # zipfile and NumPy let through whatever error their parsers meet in foreign bytes.
    try:
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive.infolist(), size)
            for entry in archive.infolist():
                array = entry.filename.removesuffix(".npy")
                where = f"array {array!r} at byte {entry.header_offset}"
                arrays[array] = _array(archive, entry)
    except Exception as error:
        reason = "not an archive as np.savez writes" if not where.startswith("array") else _reason(error)
        if isinstance(error, _Refusal):
            reason = str(error)
        raise CorruptArtefactError(f"{name}: not a readable .npz file of plain arrays ({where}: {reason})") from error
    return arrays


class _Refusal(Exception):
    """What an archive declares is not accepted."""


def _reason(error: Exception) -> str:
    """The first line of an error's text, or its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _check_sizes(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuses an archive by its list of arrays."""
    declared, largest = sum(entry.file_size for entry in entries), max(LARGEST_BYTES, LARGEST_RATIO * size)
    if declared > largest:
        raise _Refusal(f"{declared} bytes of arrays in a file of {size} bytes, expected at most {largest}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise _Refusal("an array is listed twice")
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise _Refusal(f"a file {entry.filename!r}, expected arrays")
        if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
            raise _Refusal(f"{entry.filename!r} is encrypted, or compressed by the method {entry.compress_type}")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """The array of an entry, whose header agrees with the size that the archive lists."""
    with archive.open(entry) as member:
        version = np.lib.format.read_magic(member)
        if version != _FORMAT:
            raise _Refusal(f"an array of the format {version}, expected {_FORMAT}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        header = member.tell()
    if dtype.hasobject:
        raise _Refusal("pickled objects, expected numbers or text, such as array.astype(str)")
    if dtype.fields is not None or dtype.subdtype is not None:
        raise _Refusal(f"records of the type {dtype}, expected numbers or text")
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or header + declared != entry.file_size:
        raise _Refusal(f"shape {shape} of {dtype} takes {declared} bytes, the archive has {entry.file_size - header}")
    with archive.open(entry) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # the end, where zipfile compares the checksum
    return array

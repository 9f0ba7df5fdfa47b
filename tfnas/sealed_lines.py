"""Files of JSON lines that tell a damaged, missing or misplaced line from an intact line.

Every line begins with a CRC-32 over its own text and all lines before. A line that a killed writer left half written is
dropped.
"""

import json
import os
import pathlib
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError

_PREFIX = '{{"crc32": "{:08x}", '
OPENING = b'{"crc32": "'
"""How every line begins."""


def sealed(record: Mapping[str, Any], crc: int, *, allow_nan: bool = False) -> bytes:
    """A record as a line, without the end of the line.

    Args:
      record: JSON values by name, at least a single value.
      crc: CRC-32 of all lines before, 0 for the first line.
      allow_nan: whether numbers may be NaN or infinite, which other readers than Python's may refuse.

    Raises:
      ValueError: a number is not finite and must be.
    """
    return _with_crc(json.dumps(record, sort_keys=True, allow_nan=allow_nan)[1:].encode(), crc)


def is_whole(line: bytes, crc: int) -> bool:
    """Whether a line is as it was written, after lines of a CRC-32."""
    return line == _with_crc(line[len(_PREFIX.format(0)) :], crc)


def record_of(line: bytes) -> dict[str, Any]:
    """The record of a whole line."""
    record = json.loads(line)
    del record["crc32"]
    return record


def reason(line: bytes, crc: int) -> str:
    """Why a line is not whole, for an error."""
    if line.endswith(b"\r") and is_whole(line[:-1], crc):
        return "ends with CRLF, as editors on Windows write, expected LF; `sed -i 's/\\r$//' FILE` mends the file"
    return "damaged, or not of this log"


def _with_crc(body: bytes, crc: int) -> bytes:
    return _PREFIX.format(zlib.crc32(body, crc)).encode() + body


def read(path: artefacts.PathLike) -> list[dict[str, Any]]:
    """The records of a file; none if there is no file. A torn last line is dropped.

    Raises:
      CorruptArtefactError: another line is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    *lines, tail = path.read_bytes().split(b"\n")
    records, crc = [], 0
    for number, line in enumerate(lines, start=1):
        if not is_whole(line, crc):
            raise CorruptArtefactError(f"{path}, line {number}: {reason(line, crc)}")
        records.append(record_of(line))
        crc = zlib.crc32(line, crc)
    if is_whole(tail[:-1], crc):  # a torn line has lost more than its end
        raise CorruptArtefactError(f"{path}, line {len(lines) + 1}: its end is damaged")
    return records


class LineLog:
    """A file of sealed lines that a single process writes.

    Args:
      path: file, which is replaced.
      records: records that the file begins with.
    """

    def __init__(self, path: artefacts.PathLike, records: Iterable[Mapping[str, Any]] = ()):
        self._path = pathlib.Path(path)
        self._crc = 0
        with artefacts.atomic_file(path) as file:
            for record in records:
                file.write(self._next(record))

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds a record; once this returns, the record is on the disk.

        Raises:
          OSError: the record can't be written; the error names the file.
        """
        try:
            with open(self._path, "ab") as file:
                file.write(self._next(record))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self._path)
            raise

    def _next(self, record: Mapping[str, Any]) -> bytes:
        line = sealed(record, self._crc, allow_nan=True)
        self._crc = zlib.crc32(line, self._crc)
        return line + b"\n"

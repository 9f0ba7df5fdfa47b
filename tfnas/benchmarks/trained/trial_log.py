"""An append-only log of finished trials that several processes may write and that survives the death of any of them.

Its lines are sealed, so a changed, missing or misplaced line is noticed. A line that a killed writer left half written
is cut off, with a warning, by whoever comes next. A file whose first line is not the header of a log is never changed.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import threading
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from tfnas import artefacts, sealed_lines
from tfnas.errors import CorruptArtefactError, MismatchError


class TrialLog:
    """What is known of every trial, by its key.

    Args:
      path: the file; made if there is none.
      header: JSON values that say what the trials are of; the log's first line.

    Raises:
      CorruptArtefactError: a line is damaged, or the file is no log.
      MismatchError: the log was begun with another header.
    """

    def __init__(self, path: artefacts.PathLike, header: Mapping[str, Any]):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._header = json.loads(json.dumps(header))
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (open as long as the log)
        self._thread = threading.Lock()
        self._end, self._crc, self._lines = 0, 0, 0
        self._records: dict[str, dict[str, Any]] = {}
        with self._locked():
            if not self._lines:
                self._write(self._header)

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a trial, whoever wrote it; None if there is none yet."""
        if key not in self._records:
            with self._locked():
                pass
        return self._records.get(key)

    def add(self, key: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Records a trial; once this returns, the record is on the disk.

        Returns:
          The trial's record: this one, or what another writer recorded earlier under the same key.

        Raises:
          OSError: it can't be written; the log is as it was.
        """
        with self._locked():
            if key not in self._records:
                self._write({"trial": key, **record})
        return self._records[key]

    def records(self) -> dict[str, dict[str, Any]]:
        """Every record by its key, in the order of their writing."""
        with self._locked():
            return dict(self._records)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the file for this thread alone, and knows all of it; the kernel frees it when the process dies."""
        with self._thread:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._read()
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _read(self) -> None:
        """Takes up what was written since the last time."""
        size = os.fstat(self._file.fileno()).st_size
        if size < self._end:
            raise CorruptArtefactError(f"{self.path}: {size} bytes, but {self._end} were written")
        self._file.seek(self._end)
        *lines, tail = self._file.read().split(b"\n")
        for line in lines:
            self._take(line)
        if tail:
            if not self._lines:
                raise CorruptArtefactError(f"{self.path}: not a trial log, so nothing is written to it")
            if sealed_lines.is_whole(tail[:-1], self._crc):  # a torn line has lost more than its end
                raise CorruptArtefactError(f"{self.path}, line {self._lines + 1}: its end is damaged")
            logging.warning("%s: cut off %d bytes of a record that a killed writer left", self.path, len(tail))
            self._file.truncate(self._end)

    def _take(self, line: bytes) -> None:
        if not self._lines and not line.startswith(sealed_lines.OPENING):
            raise CorruptArtefactError(f"{self.path}: not a trial log, so nothing is written to it")
        if not sealed_lines.is_whole(line, self._crc):
            reason = sealed_lines.reason(line, self._crc)
            raise CorruptArtefactError(f"{self.path}, line {self._lines + 1}: {reason}")
        record = sealed_lines.record_of(line)
        if not self._lines:
            if record != self._header:
                before, now = _differences(record, self._header)
                raise MismatchError(f"{self.path}: made with {before}, not with {now}")
        else:
            self._records[record.pop("trial")] = record
        self._crc = zlib.crc32(line, self._crc)
        self._end += len(line) + 1
        self._lines += 1

    def _write(self, record: Mapping[str, Any]) -> None:
        line = sealed_lines.sealed(record, self._crc)
        try:
            rest = line + b"\n"
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self.path)
            self._file.truncate(self._end)
            raise
        self._take(line)


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of two headers that are not in both."""
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return {name: first.get(name) for name in names}, {name: second.get(name) for name in names}

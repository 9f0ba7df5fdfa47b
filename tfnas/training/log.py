"""A run's metrics: JSON lines for programs, TensorBoard scalars for people."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError


class MetricsLog:
    """Appends to `metrics.jsonl` and to TensorBoard event files in one folder.

    Args:
      folder: the run's output folder.
      resume_after: last epoch whose earlier records stay (a run that was killed may have logged more than its last
        checkpoint holds); a new log by default.
    """

    def __init__(self, folder: pathlib.Path, resume_after: int | None = None):
        self._path = folder / "metrics.jsonl"
        records = [] if resume_after is None else [r for r in read_metrics(self._path) if r["epoch"] <= resume_after]
        artefacts.write_json_lines(self._path, records)
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Records the values of one epoch."""
        record = {"epoch": epoch, **values}
        artefacts.append_text(self._path, json.dumps(record, sort_keys=True) + "\n")
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=epoch)
        self._writer.flush()


def read_metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """Every whole record of a `metrics.jsonl`; a torn last line, left by a killed process, is dropped.

    Raises:
      CorruptArtefactError: an earlier line is damaged.
    """
    if not path.exists():
        return []
    records = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise CorruptArtefactError(f"{path}, line {number}: not a JSON record") from error
    return records

"""A run's metrics: JSON lines for programs, TensorBoard scalars for people."""

import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfnas import sealed_lines
from tfnas.errors import CorruptArtefactError


class MetricsLog:
    """Appends to `metrics.jsonl` and to TensorBoard event files in one folder.

    Args:
      folder: the run's output folder.
      resume_after: last epoch whose earlier records stay (a run that was killed may have logged more than its last
        checkpoint holds); a new log by default.

    Raises:
      CorruptArtefactError: the log to continue is damaged, or lacks an epoch.
    """

    def __init__(self, folder: pathlib.Path, resume_after: int | None = None):
        path = folder / "metrics.jsonl"
        records = read_metrics(path)[:resume_after] if resume_after else []
        if len(records) < (resume_after or 0):
            raise CorruptArtefactError(f"{path}: lacks epoch {len(records) + 1}, which the checkpoint holds")
        self._lines = sealed_lines.LineLog(path, records)
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Records the values of one epoch."""
        self._lines.add({"epoch": epoch, **values})
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=epoch)
        self._writer.flush()


def read_metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """Every record of a `metrics.jsonl`, epochs 1 to the last; a torn last line, left by a killed process, is dropped.

    Raises:
      CorruptArtefactError: a line is damaged, or of another epoch.
    """
    records = sealed_lines.read(path)
    for number, record in enumerate(records, start=1):
        if record.get("epoch") != number:
            raise CorruptArtefactError(f"{path}, line {number}: of another epoch than {number}")
    return records

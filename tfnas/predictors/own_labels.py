"""Labels of a user's own networks, from a table of models and their measured accuracies."""

import csv
import dataclasses
import math
import pathlib
from typing import Unpack

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.networks.models import named_model

LEAST = 5
"""Smallest number of labels."""
MODEL = "model"
"""Column that names the models."""


@dataclasses.dataclass(frozen=True, eq=False)
class OwnLabels:
    """n networks with labels of any metric.

    Attributes:
      graphs: n computation graphs; a graph's name is the text that named its model.
      labels: float64 `[n]`.
      column: name of the metric.

    Raises:
      ConfigurationError: fewer than five labels, another number of labels than graphs, equal labels, NaN or infinity.
    """

    graphs: tuple[ComputationGraph, ...]
    labels: np.ndarray
    column: str = "accuracy"

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels, np.float64)
        if labels.shape != (len(self.graphs),):
            raise ConfigurationError(f"labels {labels.shape} of {len(self.graphs)} graphs, expected a label each")
        if len(labels) < LEAST:
            raise ConfigurationError(f"{len(labels)} labels, expected at least {LEAST}")
        if not np.isfinite(labels).all():
            raise ConfigurationError("labels hold NaN or infinity, expected finite numbers")
        if np.ptp(labels) == 0:
            raise ConfigurationError(f"all labels are {labels[0]:g}, expected labels that differ")
        object.__setattr__(self, "labels", labels)


def read_csv(path: artefacts.PathLike, column: str = "accuracy", **options: Unpack[Options]) -> OwnLabels:
    """Reads a CSV file with a header, a model and its label a line.

    Args:
      path: file with the columns `model` and `column`; other columns are not read. A model is a path, from the folder
        of the file unless absolute, a shipped name, or an architecture such as `nasbench201:13714`.
      column: column of the labels.
      **options: options of `importers.import_model` for every model.

    Raises:
      ConfigurationError: no such file, no text, a missing column, a label that is no finite number, a model that can't
        be read or occurs twice, fewer than five rows, or equal labels; the message names file, line and column.
    """
    from tfnas import runtime

    path = pathlib.Path(path).expanduser()
    rows = _rows(path, column)
    graphs = []
    with runtime.progress(total=len(rows), desc="reading models", unit="model") as step:
        for line, text, _ in rows:
            try:
                graphs.append(import_model(_model(text, path.parent), **options).replace(name=text))
            except TfnasError as error:
                raise ConfigurationError(f"{path}, line {line}, column {MODEL!r}: {error}") from error
            if not graphs[-1].num_nodes:
                raise ConfigurationError(f"{path}, line {line}, column {MODEL!r}: {text} has no operators")
            step()
    try:
        return OwnLabels(tuple(graphs), np.array([label for _, _, label in rows]), column)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, column {column!r}: {error}") from error


def _model(text: str, folder: pathlib.Path) -> Model:
    model = named_model(text)
    if isinstance(model, pathlib.Path) and not model.is_absolute():
        return folder / model
    return model


def _rows(path: pathlib.Path, column: str) -> list[tuple[int, str, float]]:
    """Line, model and label of every row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            for name in (MODEL, column):
                if header.count(name) != 1:
                    raise ConfigurationError(
                        f"{path}, line 1: column {name!r} occurs {header.count(name)} times in the header "
                        f"{','.join(header)!r}, expected it once"
                    )
            lines = [(reader.line_num, record) for record in reader]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}, expected a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    rows: list[tuple[int, str, float]] = []
    first: dict[str, int] = {}
    for line, record in lines:
        text = (record[MODEL] or "").strip()
        if not text:
            raise ConfigurationError(f"{path}, line {line}, column {MODEL!r}: empty, expected a model")
        if text in first:
            twice = f"{text} is on line {first[text]} too, expected one label a model"
            raise ConfigurationError(f"{path}, line {line}, column {MODEL!r}: {twice}")
        first[text] = line
        rows.append((line, text, _number(record[column], f"{path}, line {line}, column {column!r}")))
    if len(rows) < LEAST:
        raise ConfigurationError(f"{path}: {len(rows)} rows below the header, expected at least {LEAST}")
    return rows


def _number(text: str | None, cell: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise ConfigurationError(f"{cell}: {text or ''!r}, expected a number") from None
    if not math.isfinite(value):
        raise ConfigurationError(f"{cell}: {text}, expected a finite number")
    return value

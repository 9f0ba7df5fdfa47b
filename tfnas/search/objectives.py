"""Objectives of a search: the accuracy, and further numbers of an architecture with their directions and limits.

An objective is written `[max:|min:][known:|measured:]name`, for example `accuracy`, `edgegpu_latency`, `parameters`,
`max:measured:pgd_linf_1p0` or `my_module:my_function`.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import joblib
import numpy as np
from absl import logging

from tfnas import artefacts, processes
from tfnas.benchmarks import Evaluator
from tfnas.benchmarks.function import load_function
from tfnas.benchmarks.table import CompactTable, read_table
from tfnas.errors import ConfigurationError, ExhaustedError
from tfnas.networks import symbolic
from tfnas.networks.registry import Network, network_of
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.guides import SIZES
from tfnas.search.open_candidates import OpenCandidates
from tfnas.spaces import Architecture, CellTable, Space

ACCURACY = "accuracy"
MEASUREMENTS = "measurements.npz"
"""File of a search's output folder with the answers of functions."""

_CHUNK = 512
_ATTEMPTS, _SAMPLE = 1000, 16
Measure = Callable[[CellTable], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """One number of every architecture, and whether more or less of it is better.

    Attributes:
      name: name in tables and figures.
      maximise: True if more is better.
      known: True if the number is known before an architecture is queried.
      measure: function from n cells to float64 `[n]`, NaN for an architecture without the number; None for the
        validation accuracy, which the benchmark answers.

    Example:
      >>> from tfnas.spaces import NATSSize
      >>> width = Objective("width", False, True, lambda cells: cells.operations.sum(axis=1).astype(float))
      >>> width.gains(width.measure(NATSSize().sample(2, seed=0))).shape
      (2,)
    """

    name: str
    maximise: bool
    known: bool
    measure: Measure | None

    def gains(self, values: np.ndarray) -> np.ndarray:
        """Values with the sign that makes more better, and back."""
        return values if self.maximise else -values


@dataclasses.dataclass(frozen=True, eq=False)
class Limit:
    """A bound that a feasible architecture keeps.

    Attributes:
      objective: number that is bounded.
      bound: largest feasible value, or smallest if more is better.
    """

    objective: Objective
    bound: float

    def keeps(self, values: np.ndarray) -> np.ndarray:
        """bool `[n]`: whether values keep the bound; NaN does not."""
        return self.objective.gains(values) >= self.objective.gains(np.float64(self.bound))

    def __str__(self) -> str:
        return f"{self.objective.name} {'>=' if self.objective.maximise else '<='} {self.bound:g}"


@dataclasses.dataclass(frozen=True, eq=False)
class Goals:
    """m objectives and limits. What is known before a query rules candidates out before a query is paid for them.

    Attributes:
      objectives: m objectives, the accuracy first.
      limits: bounds of objectives or of other numbers.

    Raises:
      ConfigurationError: the accuracy is not the first objective, or two objectives have one name.
    """

    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        names = self.names
        if not names or self.objectives[0].measure is not None:
            raise ConfigurationError(f"objectives {', '.join(names) or 'missing'}, expected {ACCURACY} first")
        if len(set(names)) < len(names):
            raise ConfigurationError(f"objectives {', '.join(names)}, expected different ones")
        if len(names) == 1 and any(not limit.objective.known for limit in self.limits):
            raise ConfigurationError("a limit of what is known only after a query needs a second objective")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(objective.name for objective in self.objectives)

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.objectives) > 1

    def gains(self, cells: CellTable, accuracies: np.ndarray) -> np.ndarray:
        """Objectives of queried architectures, more is better.

        Args:
          cells: n architectures.
          accuracies: validation accuracies `[n]`.

        Returns:
          float64 `[n, m]`, NaN for an objective that an architecture lacks.
        """
        columns = [objective.gains(_values(objective, cells, accuracies)) for objective in self.objectives]
        return np.stack(columns, axis=1)

    def feasible(self, cells: CellTable, accuracies: np.ndarray) -> np.ndarray:
        """bool `[n]`: whether queried architectures have all objectives and keep all limits.

        Args:
          cells: n architectures.
          accuracies: validation accuracies `[n]`; an accuracy of 0 is that of a training that failed.
        """
        feasible = (accuracies > 0) & np.isfinite(self.gains(cells, accuracies)).all(axis=1)
        for limit in self.limits:
            feasible &= limit.keeps(_values(limit.objective, cells, accuracies))
        return feasible

    def known_gains(self, cells: CellTable) -> np.ndarray:
        """Known objectives of n architectures, more is better: float64 `[n, m]`, NaN for objectives to find out."""
        columns = [
            objective.gains(objective.measure(cells)) if objective.known else np.full(len(cells), np.nan)
            for objective in self.objectives
        ]
        return np.stack(columns, axis=1)

    def allows(self, cells: CellTable) -> np.ndarray:
        """bool `[n]`: whether n architectures have all known objectives and keep the limits that are known."""
        allowed = np.ones(len(cells), bool)
        for objective in self.objectives:
            if objective.known:
                allowed &= np.isfinite(objective.measure(cells))
        for limit in self.limits:
            if limit.objective.known:
                allowed &= limit.keeps(limit.objective.measure(cells))
        return allowed

    def within(self, candidates: CandidateSet) -> CandidateSet:
        """The candidates that `allows` lets through.

        Raises:
          ConfigurationError: no candidate is left.
        """
        if not any(objective.known for objective in (*self.objectives, *(limit.objective for limit in self.limits))):
            return candidates
        if isinstance(candidates, OpenCandidates):
            return LimitedCandidates(candidates.space, self.allows)
        rows = np.flatnonzero(self.allows(candidates.cells))
        if not len(rows):
            limits = ", ".join(map(str, self.limits)) or "all objectives"
            raise ConfigurationError(f"none of {len(candidates)} candidates has {limits}")
        if len(rows) == len(candidates):
            return candidates
        embeddings = candidates.embeddings[rows] if candidates.embedded else None
        return Candidates(candidates.space, candidates.cells[rows], embeddings, lambda: _at(candidates.latents, rows))

    def keep_in(self, folder: pathlib.Path) -> None:
        """Lets the functions among objectives and limits keep their answers in a folder, and takes earlier answers."""
        for objective in (*self.objectives, *(limit.objective for limit in self.limits)):
            if isinstance(objective.measure, FunctionMeasure):
                objective.measure.keep_in(folder / f"{objective.name.replace(':', '_')}_{MEASUREMENTS}")


class LimitedCandidates(OpenCandidates):
    """Candidates that nobody can list, of which some are not allowed.

    Args:
      space: space of the architectures.
      allows: function from n cells to bool `[n]`.
    """

    def __init__(self, space: Space, allows: Callable[[CellTable], np.ndarray]):
        super().__init__(space)
        self._allows = allows

    def rows_of_cells(self, cells: CellTable) -> np.ndarray:
        """int64 `[n]`: the rows of n valid cells, -1 for cells that are not allowed; see `OpenCandidates`."""
        allowed = np.flatnonzero(self._allows(cells))
        rows = np.full(len(cells), -1, np.int64)
        rows[allowed] = super().rows_of_cells(cells[allowed])
        return rows

    def draw_many(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 `[n]`: rows of those of `count` random architectures that are allowed."""
        rows = super().draw_many(count, rng)
        return rows[rows >= 0]

    def draw(self, count: int, rng: np.random.Generator, excluded: Callable[[int], bool]) -> list[int]:
        rows: dict[int, None] = {}
        for _ in range(_ATTEMPTS):
            if len(rows) == count:
                return list(rows)
            cells = self.space.sample(_SAMPLE, rng)
            for cell in np.flatnonzero(self._allows(cells)).tolist():
                (row,) = super().rows_of_cells(cells[np.array([cell])]).tolist()
                if len(rows) < count and not excluded(row):
                    rows[row] = None
        raise ExhaustedError(
            f"{_ATTEMPTS * _SAMPLE} random architectures of {self.space.name} hold {len(rows)} new ones within the "
            f"limits, expected {count}; widen --limit or ask for fewer queries"
        )


class ColumnMeasure:
    """A column of a table; NaN for architectures that the table lacks.

    Args:
      table: compact table.
      column: name of a column of numbers.
    """

    def __init__(self, table: CompactTable, column: str):
        self._table, self._values = table, table.values(column)

    def __call__(self, cells: CellTable) -> np.ndarray:
        rows = self._table.rows(cells)
        return np.where(rows < 0, np.nan, self._values[rows])


class RememberedMeasure:
    """A function of architectures that is asked once about isomorphic architectures.

    Args:
      space: space of the architectures.
      measure: function from n cells to float `[n]`.
    """

    def __init__(self, space: Space, measure: Measure):
        self._space, self._measure = space, measure
        self._answers: dict[int, float] = {}

    def __call__(self, cells: CellTable) -> np.ndarray:
        keys = self._space.canonical_hashes(cells).tolist()
        new = {key: number for number, key in enumerate(keys) if key not in self._answers}
        if new:
            answers = self._measure(cells[np.array(list(new.values()))])
            self._remember(dict(zip(new, answers.tolist(), strict=True)))
        return np.array([self._answers[key] for key in keys], np.float64)

    def _remember(self, answers: dict[int, float]) -> None:
        self._answers |= answers


class FunctionMeasure(RememberedMeasure):
    """A user's function of an architecture. NaN stands for an exception or for an answer that is no number.

    Args:
      space: space of the architectures.
      function: function from an architecture to a number.
    """

    def __init__(self, space: Space, function: Callable[[Architecture], float]):
        super().__init__(space, self._ask)
        self._function = function
        self._path: pathlib.Path | None = None

    def keep_in(self, path: pathlib.Path) -> None:
        """Writes answers to a file as soon as they are known, and takes the answers that the file holds."""
        self._path = path
        if path.exists():
            arrays = artefacts.read_npz(path)
            self._answers |= dict(zip(arrays["hashes"].tolist(), arrays["values"].tolist(), strict=True))

    def _ask(self, cells: CellTable) -> np.ndarray:
        return np.array([self._answer(self._space.architecture(cells, row)) for row in range(len(cells))])

    def _answer(self, architecture: Architecture) -> float:
        try:
            return float(self._function(architecture))
        except Exception as error:  # whatever the user's function raises
            logging.warning("%s has no value: %s", self._space.to_string(architecture), error)
            return float("nan")

    def _remember(self, answers: dict[int, float]) -> None:
        super()._remember(answers)
        if self._path is not None:
            hashes = np.array(list(self._answers), np.uint64)
            artefacts.write_npz(self._path, hashes=hashes, values=np.array(list(self._answers.values())))


def network_size(space: Space, size: str) -> RememberedMeasure:
    """Sizes of the networks of architectures, from their computation graphs.

    Args:
      space: space with computation graphs.
      size: name in `guides.SIZES`.

    Raises:
      ConfigurationError: a space without networks.
    """
    network, column = network_of(space), SIZES.index(size)

    def measure(cells: CellTable) -> np.ndarray:
        chunks = [cells[start : start + _CHUNK] for start in range(0, len(cells), _CHUNK)]
        sizes = processes.results(joblib.delayed(_sizes)(space, network, chunk) for chunk in chunks)
        return np.concatenate(list(sizes))[:, column]

    return RememberedMeasure(space, measure)


def _sizes(space: Space, network: Network, cells: CellTable) -> np.ndarray:
    """float64 `[n, 2]`: parameters and multiply-adds."""
    graphs = (symbolic.build(space, space.architecture(cells, row), network=network) for row in range(len(cells)))
    return np.array([[graph.total_parameters, graph.multiply_adds.sum()] for graph in graphs], np.float64)


def read_goals(
    evaluator: Evaluator,
    objective: Sequence[str | Callable[[Architecture], float] | Objective] = (ACCURACY,),
    limit: Sequence[str] = (),
    costs: artefacts.PathLike | None = None,
) -> Goals:
    """The goals that texts name.

    Args:
      evaluator: benchmark whose table may have the columns.
      objective: objectives as `read_objective` takes them, the accuracy first.
      limit: bounds as `name:number`.
      costs: compact table whose columns come before those of the benchmark's table.

    Raises:
      ConfigurationError: an unknown name, or a limit that is not `name:number`.
      CorruptArtefactError: the table of costs is damaged.
    """
    table = None if costs is None else read_table(costs, evaluator.space)
    read = functools.cache(lambda text: read_objective(text, evaluator, table))
    limits = []
    for text in limit:
        name, _, bound = text.rpartition(":")
        try:
            limits.append(Limit(read(name), float(bound)))
        except ValueError as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(f"--limit={text}: expected name:number") from error
    return Goals(tuple(read(text) for text in objective), tuple(limits))


def read_objective(
    text: str | Callable[[Architecture], float] | Objective, evaluator: Evaluator, costs: CompactTable | None = None
) -> Objective:
    """The objective that a text or a function stands for.

    Columns and sizes of networks are known before a query, answers of functions only after the query.

    Args:
      text: `[max:|min:][known:|measured:]name`, where the name is `accuracy`, a column, `parameters`, `multiply_adds`
        or `module:function`; or a function; or an objective.
      evaluator: benchmark; a column of its table may be named without the data set that the benchmark is of.
      costs: table whose columns come before those of the benchmark's table.

    Raises:
      ConfigurationError: an unknown name, or the accuracy with a direction.
    """
    if isinstance(text, Objective):
        return text
    if callable(text):
        return Objective(text.__name__, False, False, FunctionMeasure(evaluator.space, text))
    words = text.split(":")
    marks = set()
    while len(words) > 1 and words[0] in ("max", "min", "known", "measured"):
        marks.add(words.pop(0))
    name = ":".join(words)
    if name == ACCURACY:
        if marks:
            raise ConfigurationError(f"--objective={text}: expected {ACCURACY}, which is maximised and not known")
        return Objective(ACCURACY, True, False, None)
    if {"max", "min"} <= marks or {"known", "measured"} <= marks:
        raise ConfigurationError(f"--objective={text}: expected one direction, and known or measured")
    if len(words) > 1:
        function = load_function(name, "objective")
        return Objective(name, "max" in marks, "known" in marks, FunctionMeasure(evaluator.space, function))
    return Objective(name, "max" in marks, "measured" not in marks, _measure(name, evaluator, costs))


def _measure(name: str, evaluator: Evaluator, costs: CompactTable | None) -> Measure:
    data_set = evaluator.name.removeprefix(f"{evaluator.space.name}_")
    tables = [table for table in (costs, getattr(evaluator, "table", None)) if table is not None]
    for table in tables:
        for column in (name, f"{data_set}_{name}"):
            if column in table.columns:
                return ColumnMeasure(table, column)
    if name in SIZES:
        return network_size(evaluator.space, name)
    columns = sorted({column for table in tables for column in table.columns})
    known = ", ".join((ACCURACY, *SIZES, "module:function", *columns))
    raise ConfigurationError(f"--objective={name}: expected one of {known}")


def _values(objective: Objective, cells: CellTable, accuracies: np.ndarray) -> np.ndarray:
    return accuracies if objective.measure is None else objective.measure(cells)


def _at(latents: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if latents is None else latents[rows]

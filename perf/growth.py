"""How cost grows: search in runs, queries and candidates, training in cells, vertices and batch, corpora in graphs.

  python -m perf.growth [--full] [--axes=NAME,...]

Every line of a panel is measured in a fresh process that has done the smallest work once, from the smallest size to the
largest: CPU-seconds, and the most memory that the process had held by then beyond its start. The quick sizes take six
minutes, the sizes of --full some forty. Writes `docs/growth.png`.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np

from perf import results
from tfnas.reports import figures

PICTURE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "growth.png"
Measure = Callable[[str, int], Callable[[], None]]
"""From a program and a size to the work that is timed."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """A panel.

    Attributes:
      title: the work.
      size: what the size counts.
      programs: a line each.
      quick: sizes of the quick mode.
      full: sizes of the full mode.
      work: function that prepares the work of a program and a size.
    """

    title: str
    size: str
    programs: tuple[str, ...]
    quick: tuple[int, ...]
    full: tuple[int, ...]
    work: Measure


def searching(candidates: int = 15_625, queries: int = 50, runs: int = 1) -> Measure:
    """Work of a strategy; the number that is left out is the size. Embeddings and scores are random."""

    def prepare(name: str, **sizes: int) -> Callable[[], None]:
        from tfnas.search import STRATEGIES, Candidates
        from tfnas.spaces import get_space

        space = get_space("nasbench101" if axis == "candidates" else "nasbench201")
        cells = space.enumerate()
        rng = np.random.default_rng(0)
        cells = cells[np.sort(rng.permutation(len(cells))[: sizes["candidates"]])]
        embeddings = rng.standard_normal((len(cells), 16), dtype=np.float32)
        scores = 0.5 + 0.05 * embeddings[:, 0] + 0.02 * (cells.operations == 2).sum(axis=1)
        STRATEGIES[name].settings  # noqa: B018 (imports the strategy)

        def work() -> None:
            strategy = STRATEGIES[name](Candidates(space, cells, embeddings), range(sizes["runs"]))
            while strategy.asked < sizes["queries"]:
                rows = strategy.suggest(sizes["queries"] - strategy.asked)
                strategy.update(rows, scores[rows])

        return work

    given = {"candidates": candidates, "queries": queries, "runs": runs}
    (axis,) = [name for name, value in given.items() if not value]
    return lambda program, size: prepare(program, **{**given, axis: size})


def open_search(program: str, size: int) -> Callable[[], None]:
    """A search of DARTS cells that nobody lists, with `size` queries."""
    from tfnas.search import STRATEGIES, OpenCandidates
    from tfnas.spaces import get_space

    STRATEGIES[program].settings  # noqa: B018 (imports the strategy)

    def work() -> None:
        candidates = OpenCandidates(get_space("darts"))
        strategy = STRATEGIES[program](candidates, [1])
        while strategy.asked < size:
            rows = strategy.suggest(size - strategy.asked)
            strategy.update(rows, (candidates.cells.operations[rows] == 5).mean(axis=-1))

    return work


def training(cells: int = 0, vertices: int = 7, batch: int = 32) -> Measure:
    """Work of arch2vec's training on random cells, once compiled; the number that is left out is the size."""

    def prepare(preset: str, **sizes: int) -> Callable[[], None]:
        from perf.arithmetic import training_steps
        from tfnas.encoders.arch2vec.config import preset as preset_of
        from tfnas.encoders.arch2vec.task import Arch2VecTask
        from tfnas.spaces import CellTable

        count, width = sizes["cells"], sizes["vertices"]
        rng = np.random.default_rng(0)
        operations = rng.integers(1, 4, (count, width)).astype(np.uint8)
        operations[:, 0], operations[:, -1] = 0, 4
        chain = np.eye(width, k=1, dtype=np.uint8)
        adjacency = np.maximum(np.triu(rng.random((count, width, width)) < 0.3, 1), chain).astype(np.uint8)
        cells = CellTable(operations, adjacency)
        space = types.SimpleNamespace(max_vertices=width, operations=("in", "a", "b", "c", "out"))
        config = dataclasses.replace(preset_of(preset), batch_size=sizes["batch"])
        task = Arch2VecTask(config, space, cells, cells[:1], seed=1, epochs=8)
        update = training_steps(task, config, count // config.batch_size)
        update()
        return update

    given = {"cells": cells, "vertices": vertices, "batch": batch}
    (axis,) = [name for name, value in given.items() if not value]
    return lambda program, size: prepare(program, **{**given, axis: size})


def corpus(program: str, size: int) -> Callable[[], None]:
    """Writing the graphs of cells of NAS-Bench-101, or reading them into packed arrays."""
    from tfnas.corpora import graphs, spaces
    from tfnas.spaces import get_space

    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name) / "corpus"

    def write() -> None:
        spaces.write_space_corpus(path, [(get_space("nasbench101"), size)], num_workers=1)

    if program == "write":
        return write
    write()
    return lambda: len(graphs.load_graphs([pathlib.Path(folder.name, "corpus")]))  # the folder lives as long


AXES: dict[str, Axis] = {
    "runs": Axis(
        "Search, 50 queries, 15,625 cells",
        "runs",
        ("gp", "evolution", "bo", "additive"),
        (1, 4, 16),
        (1, 5, 20, 100, 500),
        searching(runs=0),
    ),
    "queries": Axis(
        "Search, one run, 15,625 cells",
        "queries",
        ("gp", "evolution", "bo", "additive"),
        (50, 100, 200, 400),
        (50, 100, 200, 500, 1000),
        searching(queries=0),
    ),
    "candidates": Axis(
        "Search, one run of 50 queries",
        "candidates",
        ("gp", "evolution", "bo", "additive"),
        (10_000, 30_000, 100_000),
        (10_000, 30_000, 100_000, 423_624),
        searching(candidates=0),
    ),
    "open": Axis(
        "Search of DARTS, which nobody lists, one run",
        "queries",
        ("additive", "evolution"),
        (25, 50, 100),
        (25, 50, 100, 200, 400),
        open_search,
    ),
    "cells": Axis(
        "Training of arch2vec, an epoch, batch 32",
        "cells",
        ("published_code", "tfnas"),
        (2_000, 8_000, 32_000),
        (2_000, 8_000, 32_000, 128_000, 512_000),
        training(),
    ),
    "vertices": Axis(
        "Training of arch2vec, 6,400 cells",
        "vertices",
        ("published_code", "tfnas"),
        (7, 14, 28),
        (7, 14, 28, 56),
        training(cells=6_400, vertices=0),
    ),
    "batch": Axis(
        "Training of arch2vec, 6,400 cells",
        "cells per batch",
        ("published_code", "tfnas"),
        (32, 128, 512),
        (8, 32, 128, 512),
        training(cells=6_400, batch=0),
    ),
    "graphs": Axis(
        "Corpora of graphs of NAS-Bench-101",
        "graphs",
        ("write", "read"),
        (250, 1_000, 4_000),
        (1_000, 4_000, 16_000, 64_000),
        corpus,
    ),
}
"""Panels by name; an axis is a row."""


def measure(axis: Axis, program: str, sizes: Sequence[int]) -> list[tuple[float, float]]:
    """CPU-seconds of every size, and megabytes beyond those that the process held after the smallest."""
    measured = []
    axis.work(program, sizes[0])()  # imports, and compiles
    before = results.memory("VmRSS")
    for size in sizes:
        work = axis.work(program, size)
        started = time.process_time()
        work()
        seconds = time.process_time() - started
        measured.append((seconds, results.memory("VmHWM") - before))
    return measured


def growth(sizes: Sequence[int], values: Sequence[float], least: float = 1e-3) -> float:
    """Exponent of a power law between the two largest sizes; values below `least` count as `least`."""
    before, last = np.maximum(values[-2:], least)
    return float(np.log(last / before) / np.log(sizes[-1] / sizes[-2]))


def draw() -> None:
    """A panel per axis of `perf/results.json`, with the exponent of every line beside its name."""
    sections = {name: section for name in AXES if (section := results.read().get(f"growth, {name}"))}
    rows, columns = -(-len(sections) // 4), min(4, len(sections))
    figure, panels = plt.subplots(rows, columns, figsize=(16, 7), squeeze=False, layout="constrained")
    for axes in panels.ravel()[len(sections) :]:
        axes.axis("off")
    for axes, (name, section) in zip(panels.ravel(), sections.items(), strict=False):
        sizes = section["settings"]["sizes"]
        for number, program in enumerate(section["settings"]["programs"]):
            seconds = [
                row["median"] for row in section["figures"] if (row["program"], row["unit"]) == (program, "CPU-seconds")
            ]
            label = f"{program}, exponent {growth(sizes, seconds):.2f}"
            axes.loglog(sizes, seconds, marker="o", label=label, **figures.look(number))
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, 20 * high)  # room for the legend
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_title(AXES[name].title, fontsize=10)
        axes.set_xlabel(AXES[name].size)
        axes.set_ylabel("CPU-seconds")
        axes.legend(fontsize=8, frameon=False, loc="upper left")
        figures.tidy(axes)
    figure.savefig(PICTURE, dpi=150)


def measure_in_processes(name: str, sizes: Sequence[int]) -> None:
    """Measures and records an axis."""
    axis, rows = AXES[name], []
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for program in axis.programs:
        command = [sys.executable, "-m", "perf.growth", "--one", json.dumps([name, program, sizes])]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        points = json.loads(done.stdout.splitlines()[-1])
        for part, (unit, least) in enumerate((("CPU-seconds", 1e-3), ("MB", 10.0))):
            values = [point[part] for point in points]
            works = [f"{axis.title}: {size:,} {axis.size}, {unit}" for size in sizes]
            rows += [results.Figure(work, program, (value,), unit) for work, value in zip(works, values, strict=True)]
            rows.append(
                results.Figure(
                    f"{axis.title}: exponent of {unit}", program, (growth(sizes, values, least),), "", "<= 1"
                )
            )
    results.record(f"growth, {name}", rows, {"sizes": list(sizes), "programs": list(axis.programs)})


def main() -> None:
    """Measures the axes, records them and draws all axes that were ever recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--axes", default=",".join(AXES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, program, sizes = json.loads(arguments.one)
        print(json.dumps(measure(AXES[name], program, sizes)))
        return
    for name in arguments.axes.split(","):
        measure_in_processes(name, AXES[name].full if arguments.full else AXES[name].quick)
    draw()


if __name__ == "__main__":
    main()

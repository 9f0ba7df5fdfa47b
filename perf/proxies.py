"""Speed of the six zero-cost scores of NAS-Bench-201 cells beside PyTorch, measured in turn in one run.

  python -m perf.proxies [--torch_python=PATH]

Every program has one core, 64 images and the same cells without `none`. The first cell counts from the start of the
process, imports and compilation included.
"""

import json
import sys
import time

import numpy as np
from absl import app, flags

from perf.results import Figure, record
from perf.rivals import Measurement, measure_in_turn
from tfnas.spaces import NONE, Architecture, get_space

_TORCH_PYTHON = flags.DEFINE_string("torch_python", None, "Interpreter with PyTorch.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each program.")
_CELLS = flags.DEFINE_integer("cells", 6, "Cells of each measurement.")
_ONLY = flags.DEFINE_bool("only", False, "Measure tfnas in this process and print JSON (internal).")


def main(_: list[str]) -> None:
    """Measures in child processes."""
    if _ONLY.value:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        print(json.dumps(measure(some_cells(_CELLS.value))))
    else:
        compare(_TORCH_PYTHON.value)


def compare(torch_python: str | None) -> None:
    """Measures the programs in turn, and records the figures; PyTorch is left out without an interpreter."""
    operations = [list(cell.operations[1:-1]) for cell in some_cells(_CELLS.value)]
    commands = {"tfnas": [sys.executable, "-m", "perf.proxies", "--only", f"--cells={_CELLS.value}"]}
    if torch_python:
        commands["eager PyTorch"] = [torch_python, "perf/proxies_pytorch.py", json.dumps(operations)]
    results = measure_in_turn(commands, _ROUNDS.value)
    figures = [
        Figure(work, name, tuple(measurement[key] for measurement in rounds), "CPU-seconds", goals.get(name, ""))
        for work, key, goals in (
            ("six scores of a NAS-Bench-201 cell, 64 images, one core", "cell", {"tfnas": "a third of eager PyTorch"}),
            ("first cell after", "first", {"tfnas": "20"}),
        )
        for name, rounds in results.items()
    ]
    record("proxies", figures, {"rounds": _ROUNDS.value, "cells": _CELLS.value})


def some_cells(count: int) -> list[Architecture]:
    """Random cells without `none`."""
    space = get_space("nasbench201")
    cells = space.sample_without(NONE, count, np.random.default_rng(0))
    return [space.architecture(cells, row) for row in range(count)]


def measure(cells: list[Architecture]) -> Measurement:
    """CPU-seconds until the first cell is scored, and of every further cell."""
    from tfnas.proxies.spaces import scorer

    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(64, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 64)
    score = scorer(get_space("nasbench201"), images, labels)
    score(cells[0])
    first = time.process_time()
    for cell in cells:
        score(cell)
    return {"first": first, "cell": (time.process_time() - first) / len(cells)}


if __name__ == "__main__":
    app.run(main)

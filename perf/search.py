"""What a search with a surrogate costs, beside Bayesian optimisation by scikit-learn.

  python -m perf.search

A program is measured in a fresh process, without its imports; programs take turns, round after round. Candidates are
the 15,625 cells of Digits-201 with their embeddings, and 423,624 random vectors, as many as NAS-Bench-101 has cells.
The rival is a careful script: `GaussianProcessRegressor` with the kernel of the strategy `gp`, whose length scale and
noise are fitted again whenever the number of scores has doubled, and expected improvement over all candidates.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from perf.results import Figure, memory, record

ROUNDS = 3
QUERIES, LARGE = 60, 423_624
RIVAL = "scikit-learn, GP-EI"
SETUP = "set-up of the strategy gp"
CASES = {  # programs, in turn, with the number of candidates and of suggestions per fit
    "one run of 60 queries, five per fit, 15,625 candidates": (("bo", RIVAL), 15_625, 5),
    "one run of 60 queries, one per fit, 15,625 candidates": (("gp", "additive", RIVAL), 15_625, 1),
    "one run of 60 queries, one per fit, 423,624 candidates": (("gp", RIVAL), LARGE, 1),
}
GOAL = "rival / tfnas >= 1"


def write_digits(path: pathlib.Path) -> None:
    """Writes the cells of Digits-201 with embeddings, latents and scores."""
    from tfnas.benchmarks import BENCHMARKS
    from tfnas.encoders.arch2vec.saved import open_encoder

    evaluator = BENCHMARKS["digits201"].evaluator()
    cells, encoder = evaluator.table.cells, open_encoder(None, evaluator.space)
    np.savez(
        path,
        operations=cells.operations,
        adjacency=cells.adjacency,
        embeddings=encoder.embed(cells),
        latents=encoder.latents(cells),
        scores=evaluator.scores.validation,
    )


def arrays(path: pathlib.Path, count: int) -> dict[str, np.ndarray]:
    """The arrays of `write_digits`, or as many random vectors and scores as asked for."""
    with np.load(path) as stored:
        read = dict(stored)
    if count == len(read["scores"]):
        return read
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, read["embeddings"].shape[1]), dtype=np.float32)
    repeated = np.arange(count) % len(read["scores"])
    cells = {name: read[name][repeated] for name in ("operations", "adjacency")}
    return cells | {"embeddings": vectors, "scores": 0.9 - 0.01 * (vectors[:, :4] ** 2).sum(axis=1)}


def by_strategy(name: str, stored: dict[str, np.ndarray]) -> Callable[[], Callable[[], None]]:
    """Set-up of a strategy, which gives the function that searches."""
    from tfnas.search import STRATEGIES, Candidates
    from tfnas.spaces import CellTable, get_space

    kind = STRATEGIES[name]
    defaults = kind.settings  # imports the strategy
    cells = CellTable(stored["operations"], stored["adjacency"])

    def prepare() -> Callable[[], None]:
        candidates = Candidates(get_space("nasbench201"), cells, stored["embeddings"], stored.get("latents"))
        strategy = kind(candidates, [1], initial=min(QUERIES // 4, defaults["initial"]))

        def search() -> None:
            while strategy.asked < QUERIES:
                rows = strategy.suggest(QUERIES - strategy.asked)
                strategy.update(rows, stored["scores"][rows])

        return search

    return prepare


def by_scikit_learn(batch: int, stored: dict[str, np.ndarray]) -> Callable[[], Callable[[], None]]:
    """The rival."""
    from scipy.stats import norm
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    warnings.simplefilter("ignore")

    def search() -> None:
        points = stored["embeddings"]
        points = (points - points.mean(axis=0)) / points.std(axis=0)
        rows = np.random.default_rng(1).choice(len(points), 10 if batch == 1 else 15, replace=False).tolist()
        kernel, fitted = Matern(np.sqrt(points.shape[1]), nu=2.5) + WhiteKernel(0.05), 0
        while len(rows) < QUERIES:
            scores = stored["scores"][rows]
            again = len(rows) >= 2 * fitted
            process = GaussianProcessRegressor(
                kernel, alpha=1e-6, normalize_y=True, optimizer="fmin_l_bfgs_b" if again else None
            )
            process.fit(points[rows], scores)
            kernel, fitted = process.kernel_, len(rows) if again else fitted
            mean, deviation = process.predict(points, return_std=True)
            excess = (mean - scores.max()) / deviation
            merit = deviation * (excess * norm.cdf(excess) + norm.pdf(excess))
            merit[rows] = -np.inf
            rows += np.argsort(-merit)[:batch].tolist()

    return lambda: search


def measure(program: str, count: int, batch: int, path: pathlib.Path) -> dict[str, float]:
    """CPU-seconds of set-up and search, and by how much the memory grew beyond the arrays."""
    stored = arrays(path, count)
    prepare = by_scikit_learn(batch, stored) if program == RIVAL else by_strategy(program, stored)
    before = memory("VmRSS")
    started = time.process_time()
    search = prepare()
    prepared = time.process_time()
    search()
    ended = time.process_time()
    megabytes = memory("VmHWM") - before
    return {"setup": prepared - started, "all": ended - started, "megabytes": megabytes}


def measured(*arguments: Any) -> dict[str, float]:
    """`measure` in a fresh process, whose libraries use one thread per product."""
    command = [sys.executable, "-m", "perf.search", "--one", json.dumps(list(map(str, arguments)))]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measures all cases and records them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    one = parser.parse_args().one
    if one is not None:
        program, count, batch, path = json.loads(one)
        print(json.dumps(measure(program, int(count), int(batch), pathlib.Path(path))))
        return
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "digits.npz"
        write_digits(path)
        for work, (programs, count, batch) in CASES.items():
            rounds: dict[str, list[dict[str, float]]] = {program: [] for program in programs}
            for _ in range(ROUNDS if count < LARGE else 1):
                for program in programs:
                    rounds[program].append(measured(program, count, batch, path))
            for part, unit, goal in (("all", "CPU-seconds", GOAL), ("megabytes", "MB", "")):
                for program in programs:
                    values = tuple(measurement[part] for measurement in rounds[program])
                    figures.append(Figure(f"{work}: {unit}", program, values, unit, goal))
            if "gp" in programs:
                values = tuple(measurement["setup"] for measurement in rounds["gp"])
                figures.append(Figure(f"{SETUP}, {count:,} candidates", "gp", values, "CPU-seconds"))
    record("search", figures, {"queries": QUERIES, "threads": 1})


if __name__ == "__main__":
    main()

"""How the cost of a query grows with the vectors of an index: exactly, by FAISS, and in inverted lists.

  python -m perf.index [--largest=1000000]

The vectors are embeddings of cells by the shipped arch2vec encoders, of 16 numbers each: all 423,624 cells of
NAS-Bench-101 and, up to the largest size, drawn cells of DARTS in the same index. Queries are embeddings of further
cells of DARTS, one at a time on one thread. The lists are made as `tfnas build_index --search=ivf` makes them; their
recall is that of the ten nearest. Writes `docs/growth_index.png`.
"""

import argparse
import pathlib
import time

import faiss
import numpy as np

from perf.results import Figure, record
from tfnas import runtime
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.reports import figures
from tfnas.retrieval.index import Index
from tfnas.retrieval.searchers import InvertedLists
from tfnas.saved_models import SHIPPED
from tfnas.spaces import get_space

_QUERIES, _ROUNDS = 100, 3
_FIGURE = pathlib.Path(__file__).parents[1] / "docs" / "growth_index.png"


def embeddings(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 `[count, 16]` and queries float32 `[100, 16]`."""
    rows = []
    for name in ("nasbench101", "darts"):
        space, encoder = get_space(name), SavedCellEncoder(SHIPPED / f"arch2vec_{name}")
        missing = count - sum(map(len, rows))
        if name == "darts":
            rows.append(encoder.embed(space.sample(missing + _QUERIES, seed=0)))
        else:
            rows.append(encoder.embed(space.enumerate()))
    mixed = np.concatenate(rows)
    vectors, queries = mixed[:count], mixed[count:]
    return vectors[np.random.default_rng(0).permutation(count)], queries


def milliseconds(index: Index, queries: np.ndarray, backend: str | None) -> float:
    """Processor milliseconds of a query, each asked alone."""
    index.search(queries[:1], 10, backend=backend)
    started = time.process_time()
    for query in queries:
        index.search(query[None], 10, backend=backend)
    return 1000 * (time.process_time() - started) / len(queries)


def main() -> None:
    """Prints and records the figures, and draws them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    options = parser.parse_args()
    runtime.one_thread_per_operation()
    faiss.omp_set_num_threads(1)
    vectors, queries = embeddings(options.largest)
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= options.largest]
    measured, curves = [], {}
    for size in sizes:
        names = np.arange(size).astype(str)
        index = Index(vectors[:size], names, np.full(size, "cells"), np.full(size, ""))
        started = time.process_time()
        index.lists = InvertedLists.fit(index.embeddings)
        seconds = time.process_time() - started
        backends = {"lists by FAISS": None, "TensorFlow": "tensorflow", "FAISS flat": "faiss"}
        values: dict[str, list[float]] = {name: [] for name in backends}
        for _ in range(_ROUNDS):
            for name, backend in backends.items():
                asked = queries[: max(5, min(_QUERIES, 20_000_000 // size))]
                values[name].append(milliseconds(index, asked, backend))
        work = f"a query for 10 of {size:,} embeddings of arch2vec"
        measured += [
            Figure(work, name, tuple(rounds), "CPU-milliseconds", "<= 2 ms" if name.startswith("lists") else "")
            for name, rounds in values.items()
        ]
        for name, rounds in values.items():
            curves.setdefault(name, []).append(float(np.median(rounds)))
        facts = f"recall of lists, {size:,} embeddings, {index.lists.probes} of {len(index.lists.centroids)} lists"
        measured.append(Figure(facts, "lists by FAISS", (index.lists.recall,), "share of the ten nearest", ">= 0.99"))
        measured.append(Figure(f"making the lists of {size:,} embeddings", "tfnas", (seconds,), "CPU-seconds"))
    record("index", measured, {"queries": _QUERIES, "threads": 1})
    figure, axes = figures.plt.subplots(figsize=(5, 3.4))
    for number, (name, points) in enumerate(curves.items()):
        axes.loglog(sizes, points, marker="o", label=name, **figures.look(number))
    axes.set_xlabel("embeddings in the index")
    axes.set_ylabel("processor milliseconds of a query")
    axes.legend(frameon=False)
    figure.savefig(_FIGURE, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()

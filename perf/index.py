"""How the cost of a query grows with the vectors of an index: exactly, by FAISS, and in inverted lists.

  python -m perf.index [--largest=1000000] [--graphs]

The vectors are embeddings of cells by the shipped arch2vec encoders, of 16 numbers each: cells of NAS-Bench-101, half
of the vectors or all 423,624, and drawn cells of DARTS in the same index. With --graphs the vectors are embeddings of
whole networks by the shipped encoder of computation graphs, of 128 numbers each: networks of NAS-Bench-101 and drawn
ones of MobileNetV3, of which one processor embeds some 500 a second. Queries are embeddings of further
architectures of the second space, one at a time on one thread. The lists are made as `tfnas build_index --search=ivf`
makes them; their recall is that of the ten nearest. Draws all that was ever recorded into `docs/growth_index.png`.
"""

import argparse
import pathlib
import time

import faiss
import numpy as np
from tqdm import tqdm

from perf.results import Figure, read, record
from tfnas import runtime
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.reports import figures
from tfnas.retrieval.index import Index
from tfnas.retrieval.searchers import InvertedLists
from tfnas.saved_models import SHIPPED
from tfnas.spaces import get_space

_QUERIES, _ROUNDS = 100, 3
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CHUNK = 10_000
_BACKENDS = {"lists by FAISS": None, "TensorFlow": "tensorflow", "FAISS flat": "faiss"}
_VECTORS = {"index": "cells by arch2vec, 16 numbers", "index_graphs": "networks by cg_encoder, 128 numbers"}
"""What the vectors of a section of `perf/results.json` are."""
_FIGURE = pathlib.Path(__file__).parents[1] / "docs" / "growth_index.png"


def embeddings(count: int, graphs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 `[count, D]` and queries float32 `[100, D]`, of cells or of whole networks."""
    first, second = get_space("nasbench101"), get_space("mobilenetv3" if graphs else "darts")
    rng = np.random.default_rng(0)
    cells = first.enumerate()
    cells = cells[np.sort(rng.permutation(len(cells))[: count // 2])]
    missing = count - len(cells) + _QUERIES
    rows = []
    for space, of_space in ((first, cells), (second, second.sample(missing, seed=0))):
        if graphs:
            encoder = SavedGraphEncoder()
            for start in tqdm(range(0, len(of_space), _CHUNK), desc=f"Embedding {space.name}"):
                chunk = of_space[np.arange(start, min(start + _CHUNK, len(of_space)))]
                rows.append(encoder.embed(pack_cells(space, chunk, layout="predictor")))
        else:
            rows.append(SavedCellEncoder(SHIPPED / f"arch2vec_{space.name}").embed(of_space))
    mixed = np.concatenate(rows)
    vectors, queries = mixed[:-_QUERIES], mixed[-_QUERIES:]
    return vectors[rng.permutation(count)], queries


def milliseconds(index: Index, queries: np.ndarray, backend: str | None) -> float:
    """Processor milliseconds of a query, each asked alone."""
    index.search(queries[:1], 10, backend=backend)
    started = time.process_time()
    for query in queries:
        index.search(query[None], 10, backend=backend)
    return 1000 * (time.process_time() - started) / len(queries)


def measure(vectors: np.ndarray, queries: np.ndarray, what: str) -> list[Figure]:
    """Figures of indices of growing sizes.

    Args:
      vectors: float32 `[N, D]`.
      queries: float32 `[100, D]`.
      what: what the vectors are.
    """
    measured = []
    for size in (size for size in _SIZES if size <= len(vectors)):
        names = np.arange(size).astype(str)
        index = Index(vectors[:size], names, np.full(size, "cells"), np.full(size, ""))
        started = time.process_time()
        index.lists = InvertedLists.fit(index.embeddings)
        seconds = time.process_time() - started
        values: dict[str, list[float]] = {name: [] for name in _BACKENDS}
        asked = queries[: max(5, min(_QUERIES, 20_000_000 // size))]
        for _ in range(_ROUNDS):
            for name, backend in _BACKENDS.items():
                values[name].append(milliseconds(index, asked, backend))
        work = f"a query for 10 of {size:,} {what}"
        measured += [
            Figure(work, name, tuple(rounds), "CPU-milliseconds", "<= 2 ms" if name.startswith("lists") else "")
            for name, rounds in values.items()
        ]
        facts = f"recall of lists, {size:,} embeddings, {index.lists.probes} of {len(index.lists.centroids)} lists"
        measured.append(Figure(facts, "lists by FAISS", (index.lists.recall,), "share of the ten nearest", ">= 0.99"))
        measured.append(Figure(f"making the lists of {size:,} embeddings", "tfnas", (seconds,), "CPU-seconds"))
    return measured


def draw() -> None:
    """A panel for every kind of vectors that was recorded."""
    sections = {name: section for name in _VECTORS if (section := read().get(name))}
    figure, panels = figures.plt.subplots(1, len(sections), figsize=(5 * len(sections), 3.4), squeeze=False)
    for axes, (name, section) in zip(panels[0], sections.items(), strict=True):
        for number, backend in enumerate(_BACKENDS):
            points = [
                row["median"]
                for row in section["figures"]
                if (row["program"], row["unit"]) == (backend, "CPU-milliseconds")
            ]
            sizes = section["settings"]["sizes"]
            axes.loglog(sizes, points, marker="o", label=backend, **figures.look(number))
        axes.set_title(_VECTORS[name], fontsize=10)
        axes.set_xlabel("embeddings in the index")
        axes.set_ylabel("CPU-milliseconds of a query")
        axes.legend(frameon=False)
        figures.tidy(axes)
    figure.savefig(_FIGURE, dpi=150, bbox_inches="tight")


def main() -> None:
    """Measures, records the figures, and draws them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--graphs", action="store_true", help="embeddings of whole networks, of 128 numbers")
    options = parser.parse_args()
    runtime.one_thread_per_operation()
    faiss.omp_set_num_threads(1)
    name = "index_graphs" if options.graphs else "index"
    vectors, queries = embeddings(options.largest, options.graphs)
    measured = measure(vectors, queries, _VECTORS[name].partition(",")[0])
    sizes = [size for size in _SIZES if size <= options.largest]
    command = f"python -m perf.index --largest={options.largest}" + (" --graphs" if options.graphs else "")
    record(name, measured, {"queries": _QUERIES, "threads": 1, "sizes": sizes, "command": command})
    draw()


if __name__ == "__main__":
    main()

"""Computation graphs straight from architectures, against building the Keras network and importing it; a whole corpus.

  python -m perf.graphs [--corpus]

Records, for every space, graphs per CPU-second made in both ways. With --corpus it also measures 50,000 graphs of
NAS-Bench-101, 4,096 of NAS-Bench-201 and 10,000 of DARTS, built and stored by two processes.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
import tensorflow as tf

import tfnas
from perf.results import Figure, record
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.networks import symbolic
from tfnas.networks.registry import NETWORKS
from tfnas.spaces import get_space

CORPUS = {"nasbench101": 50_000, "nasbench201": 4_096, "darts": 10_000}


def main() -> None:
    """Measures, and records the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", action="store_true")
    arguments = parser.parse_args()
    tfnas.runtime.one_thread_per_operation()
    figures = []
    for name, network in NETWORKS.items():
        space = get_space(name)
        cells = space.sample(503, np.random.default_rng(0))
        architectures = [space.architecture(cells, row) for row in range(503)]
        shape, classes = network.image_shape, network.num_classes
        symbolic.build(space, architectures[0])
        start = time.process_time()
        made = [symbolic.build(space, architecture) for architecture in architectures[3:]]
        direct = 500 / (time.process_time() - start)
        start = time.process_time()
        for architecture in architectures[:3]:
            from_keras(network.build(architecture, shape, classes), inputs=tf.TensorSpec((None, *shape)))
        imported = 3 / (time.process_time() - start)
        nodes = np.mean([graph.num_nodes for graph in made])
        figures += [
            Figure(f"graphs of {name}, {nodes:.0f} operators", program, (rate,), "graphs per CPU-second")
            for program, rate in (("tfnas", direct), ("Keras network built and imported", imported))
        ]
    if arguments.corpus:
        from tfnas.corpora import spaces

        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            count = spaces.write_space_corpus(
                f"{folder}/corpus", [(get_space(name), count) for name, count in CORPUS.items()], num_workers=2
            )
            seconds = time.perf_counter() - start
            bytes_written = sum(file.stat().st_size for file in pathlib.Path(folder, "corpus").iterdir())
        work = f"{count:,} graphs built and stored by two processes"
        figures += [
            Figure(f"{work}: seconds", "tfnas", (seconds,), "seconds"),
            Figure(f"{work}: MB", "tfnas", (bytes_written / 1e6,), "MB"),
        ]
    record("graphs", figures, {"command": "python -m perf.graphs --corpus"} if arguments.corpus else {})


if __name__ == "__main__":
    main()

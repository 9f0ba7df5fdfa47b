"""Speed of the transferable predictor: what it reads of graphs, and pretraining.

  python -m perf.predictor

Records the seconds on all cores to embed 50,000 graphs of NAS-Bench-101 and to find their numbers, and of a pretraining
epoch over 64,000 graphs: those of 20 batches, times the number of batches. The graphs that are trained on are 12,800 of
three spaces.
"""

import time

import numpy as np
import tensorflow as tf

from perf.arithmetic import training_steps
from perf.results import Figure, record
from tfnas.encoders.computation_graph import config as encoder_config
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.task import ContrastiveTask
from tfnas.graphs.packed import PackedGraphs, embed_packed
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors.graph_numbers import graph_numbers
from tfnas.spaces import get_space


def main() -> None:
    """Measures, and records the figures."""
    rng = np.random.default_rng(0)
    space = get_space("nasbench101")
    graphs = pack_cells(space, space.sample(50_000, rng), progress=True)
    model = GraphEncoder(encoder_config.preset("tfnas"), 1)
    unit = "seconds, all cores"
    figures = []
    for work, program, function, goal in (
        ("embeddings of 50,000 graphs of NAS-Bench-101", "preset tfnas", model.encode, "<= 60"),
        ("numbers of 50,000 graphs of NAS-Bench-101", "tfnas", graph_numbers, ""),
    ):
        traced = tf.function(function, reduce_retracing=True, autograph=False)
        embed_packed(traced, graphs[np.arange(2000)])
        start = time.perf_counter()
        embed_packed(traced, graphs)
        figures.append(Figure(work, program, (time.perf_counter() - start,), unit, goal))
    others = [
        pack_cells(
            get_space(name),
            get_space(name).sample(count, rng),
            layout="benchmark" if name == "nasbench201" else "predictor",
        )
        for name, count in (("nasbench201", 800), ("nasbench301", 2000))
    ]
    mixed = PackedGraphs.concatenate([graphs[np.arange(10_000)], *others])
    for name in encoder_config.PRESETS:
        config = encoder_config.preset(name)
        task = ContrastiveTask(config, mixed, 1, 1)
        update = training_steps(task, config, 20)
        update()
        start = time.perf_counter()
        update()
        epoch = (time.perf_counter() - start) / 20 * 64_000 / config.batch_size
        figures.append(Figure("a pretraining epoch over 64,000 graphs", f"preset {name}", (epoch,), unit, "<= 600"))
    record("predictor", figures)


if __name__ == "__main__":
    main()

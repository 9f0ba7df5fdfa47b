"""Speed of the computation-graph encoder beside PyTorch Geometric, measured in turn in one run.

  python -m perf.graph_encoder --torch_python=PATH

Embeds 512 networks of NAS-Bench-101, NAS-Bench-201 and NAS-Bench-301, and trains on batches of 512 (256 anchors and
their partners) with the preset `tfnas`. Every program has one core.
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from perf.results import Figure, record
from perf.rivals import Measurement, measure_in_turn
from tfnas.encoders.computation_graph import similarity
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import get_space

_TORCH_PYTHON = flags.DEFINE_string("torch_python", None, "Python that can import torch and torch_geometric.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each program.")
_ONLY = flags.DEFINE_string("only", None, "Measure tfnas on the graphs of this file and print JSON (internal).")
_BATCH, _STEPS = 512, 3
_COUNTS = {"nasbench101": 1000, "nasbench201": 100, "nasbench301": 358}


def main(_: list[str]) -> None:
    """Measures in child processes."""
    if _ONLY.value:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        print(json.dumps(measure(_ONLY.value)))
    else:
        compare()


def compare() -> None:
    """Measures the programs in turn, and records the figures; without --torch_python those of tfnas alone."""
    graphs = some_graphs()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "graphs.npz"
        np.savez(
            path,
            nodes=graphs.features[graphs.codes],
            edges=graphs.edges,
            node_offsets=graphs.node_offsets,
            edge_offsets=graphs.edge_offsets,
            family=graphs.family,
            structure=graphs.structure,
            points=similarity.descriptors(graphs, "operators"),
            num_operators=len(OPERATORS),
            batches=np.stack([np.random.default_rng(i).permutation(len(graphs))[:_BATCH] for i in range(_STEPS)]),
        )
        commands = {}
        if _TORCH_PYTHON.value:
            commands["PyTorch Geometric"] = [
                _TORCH_PYTHON.value,
                "perf/graph_encoder_pytorch.py",
                f"--graphs={path}",
            ]
        commands["tfnas"] = [sys.executable, "-m", "perf.graph_encoder", f"--only={path}"]
        results = measure_in_turn(commands, _ROUNDS.value)
    nodes = graphs.num_nodes.mean()
    figures = [
        Figure(
            f"{work} of {_BATCH} graphs of {nodes:.0f} operators, one core",
            name,
            tuple(measurement[f"{key}_per_cpu_second"] for measurement in rounds),
            "graphs per CPU-second",
            "3 times PyTorch Geometric" if name == "tfnas" else "",
        )
        for work, key in (("embedding", "embed"), ("training on batches", "train"))
        for name, rounds in results.items()
    ]
    record("graph_encoder", figures, {"rounds": _ROUNDS.value})


def some_graphs() -> PackedGraphs:
    """Networks of three spaces."""
    rng = np.random.default_rng(0)
    packs = []
    for name, count in _COUNTS.items():
        space = get_space(name)
        layout = "benchmark" if name == "nasbench201" else "predictor"
        packs.append(pack_cells(space, space.sample(count, rng), layout=layout))
    return PackedGraphs.concatenate(packs)


def measure(path: str) -> Measurement:
    """Graphs per CPU-second of embedding and of training."""
    import tensorflow as tf

    from perf.arithmetic import training_steps
    from tfnas.encoders.computation_graph.config import preset
    from tfnas.encoders.computation_graph.task import ContrastiveTask
    from tfnas.graphs.packed import embed_packed

    with np.load(path) as arrays:
        features, codes = np.unique(arrays["nodes"], axis=0, return_inverse=True)
        graphs = PackedGraphs(
            features=features,
            codes=codes.ravel().astype(np.int32),
            edges=arrays["edges"],
            node_offsets=arrays["node_offsets"],
            edge_offsets=arrays["edge_offsets"],
            families=tuple(_COUNTS),
            family=arrays["family"],
            labels=np.full(len(arrays["family"]), np.nan, np.float32),
            structure=arrays["structure"],
        )
        points, batches = arrays["points"], arrays["batches"]
    config = preset("tfnas")
    task = ContrastiveTask(config, graphs, 1, 1, points)
    update = training_steps(task, config, _STEPS)
    update()
    started = time.process_time()
    update()
    training = time.process_time() - started

    encode = tf.function(task.model.encode, reduce_retracing=True)
    embed_packed(encode, graphs[batches[0]])
    started = time.process_time()
    for batch in batches:
        embed_packed(encode, graphs[batch])
    embedding = time.process_time() - started
    count = _STEPS * _BATCH
    return {"train_per_cpu_second": count / training, "embed_per_cpu_second": count / embedding}


if __name__ == "__main__":
    app.run(main)

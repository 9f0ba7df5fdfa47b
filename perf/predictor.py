"""Speed of the transferable predictor: embedding, pretraining, zero-cost scores.

  python -m perf.predictor [--torch_python=PATH]

Prints the seconds to embed 50,000 graphs of NAS-Bench-101 and those of a pretraining epoch over 64,000 graphs (measured
on 12,800 with the same shares), and the processor seconds of all six zero-cost scores of a NAS-Bench-201 cell without
`none` on one core: by the program that all cells share, by a Keras network built and traced for each, and in eager
PyTorch.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from tfnas.encoders.computation_graph import config as encoder_config
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.task import ContrastiveTask
from tfnas.graphs.packed import PackedGraphs, embed_packed
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.proxies import PROXIES
from tfnas.proxies.scores import ProxyProgram
from tfnas.proxies.spaces import scorer
from tfnas.reports import tables
from tfnas.spaces import NONE, get_space
from tfnas.training import loop

_CELLS = 12
_TRACED = 2


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="interpreter with PyTorch")
    parser.add_argument("--part", choices=("encoder", "proxies"), help="only this")
    arguments = parser.parse_args()
    if arguments.part != "proxies":
        _encoder()
    if arguments.part == "encoder":
        return
    if arguments.part is None:  # one core for the comparison, decided before TensorFlow starts
        command = [sys.executable, __file__, "--part=proxies"]
        command += [f"--torch_python={arguments.torch_python}"] if arguments.torch_python else []
        subprocess.run(command, check=True)
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _proxies(arguments.torch_python)


def _encoder() -> None:
    rng = np.random.default_rng(0)
    space = get_space("nasbench101")
    graphs = pack_cells(space, space.sample(50_000, rng), progress=True)
    model = GraphEncoder(encoder_config.preset("tfnas"), 1)
    encode = tf.function(model.encode, reduce_retracing=True)
    embed_packed(encode, graphs[np.arange(2000)])
    start = time.perf_counter()
    embed_packed(encode, graphs)
    embedding = time.perf_counter() - start
    others = [
        pack_cells(
            get_space(name),
            get_space(name).sample(count, rng),
            layout="benchmark" if name == "nasbench201" else "predictor",
        )
        for name, count in (("nasbench201", 800), ("nasbench301", 2000))
    ]
    mixed = PackedGraphs.concatenate([graphs[np.arange(10_000)], *others])
    rows = [["embedding 50,000 graphs of NAS-Bench-101 (preset tfnas)", f"{embedding:.0f}", "60"]]
    for name in encoder_config.PRESETS:
        config = encoder_config.preset(name)
        task = ContrastiveTask(config, mixed, 1, 1)
        schedule = loop.TrainingConfig(1, config.batch_size, 1, config.clip_norm)
        task.optimizer.build(task.model.trainable_variables)
        program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), 20, True)
        indices, weights = loop.epoch_batches(len(mixed), schedule, 1)
        draws = task.draw(tf.constant([1, 1]), 20, config.batch_size)
        steps = [tf.constant(part[:20]) for part in (indices, weights)]
        program(*steps, draws, tf.constant(1))
        start = time.perf_counter()
        program(*steps, draws, tf.constant(20))
        epoch = (time.perf_counter() - start) / 20 * 64_000 / config.batch_size
        rows.append([f"an epoch over 64,000 graphs, preset {name}", f"{epoch:.0f}", "600"])
    print(tables.markdown(["on all cores", "seconds", "target"], rows))


def _proxies(torch_python: str | None) -> None:
    rng = np.random.default_rng(0)
    space = get_space("nasbench201")
    cells = space.sample_without(NONE, _CELLS, rng)
    architectures = [space.architecture(cells, row) for row in range(_CELLS)]
    images, labels = rng.normal(size=(64, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 64)
    start = time.process_time()
    score = scorer(space, images, labels)
    score(architectures[0])
    once = time.process_time() - start
    start = time.process_time()
    for architecture in architectures:
        score(architecture)
    shared = (time.process_time() - start) / _CELLS
    start = time.process_time()
    for architecture in architectures[:_TRACED]:
        network = NASBench201Network(Skeleton(), architecture, LayerSettings("pytorch"))
        network(images[:1])
        ProxyProgram(network, PROXIES, lambda x, n=network: n(x, training=False)).scores(images, labels)
    traced = (time.process_time() - start) / _TRACED
    rows = [
        [f"one program for all cells (traced once, {once:.0f} s)", f"{shared:.2f}", "1.0"],
        ["a Keras network built and traced for each", f"{traced:.2f}", f"{traced / shared:.1f}"],
    ]
    if torch_python:
        names = [list(architecture.operations[1:-1]) for architecture in architectures]
        script = pathlib.Path(__file__).with_name("predictor_pytorch.py")
        command = [torch_python, str(script), json.dumps(names)]
        eager = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(["eager PyTorch", f"{eager:.2f}", f"{eager / shared:.1f}"])
    print(tables.markdown(["six scores of a cell, 64 images, one core", "processor seconds", "ratio"], rows))


if __name__ == "__main__":
    main()

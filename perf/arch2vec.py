"""Speed of arch2vec beside JAX and PyTorch implementations of the same network, measured in turn in one run.

  make perf

or, with an environment that holds PyTorch, JAX, Flax and Optax, `python -m perf.arch2vec --torch_python=PATH`. Where
CPU-seconds are compared, every program has one core. The share of peak is what the network's matrix products alone come
to, beside the rate of large products in the same process.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

import tfnas
from perf.results import Figure, record
from perf.rivals import Measurement, measure_in_turn, measurement
from tfnas.spaces import CellTable

_TORCH_PYTHON = flags.DEFINE_string("torch_python", None, "Python that can import torch, jax, flax and optax.")
_ENCODER = flags.DEFINE_string("encoder", "saved_models/arch2vec_nasbench101", "Encoder for the embedding benchmark.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each program.")
_ONLY = flags.DEFINE_enum("only", None, ["train", "embed"], "Measure this in this process and print JSON (internal).")
_PRESET = flags.DEFINE_string("preset", "published_code", "The preset to train, with --only=train (internal).")
_STEPS = 100
_CALLS = 6


def main(_: list[str]) -> None:
    """Measures in child processes, so that no program sees another's threads or caches."""
    if _ONLY.value == "train":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        print(json.dumps(measure_training(_PRESET.value)))
    elif _ONLY.value == "embed":
        print(json.dumps(measure_embedding()))
    elif _TORCH_PYTHON.value is None:
        raise app.UsageError("--torch_python is missing")
    else:
        compare(_TORCH_PYTHON.value)


def compare(torch_python: str) -> None:
    """Measures all programs in turn, and records the figures."""
    cells = some_cells()
    tfnas_python = [sys.executable, "-m", "perf.arch2vec"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cells.npz"
        np.savez(path, ops=cells.one_hot(5), adjacency=cells.adjacency.astype(np.float32))
        jax = [torch_python, "perf/arch2vec_jax.py", f"--cells={path}"]
        torch = [torch_python, "perf/arch2vec_pytorch.py", f"--cells={path}"]
        commands = {
            "JAX, jit and scan": jax,
            "PyTorch, torch.compile": [*torch, "--compile"],
            "PyTorch, eager": torch,
            "tfnas, preset published_code": [*tfnas_python, "--only=train", "--preset=published_code"],
            "tfnas, preset tfnas": [*tfnas_python, "--only=train", "--preset=tfnas"],
        }
        if not shutil.which(os.environ.get("CXX", "g++")):
            print("torch.compile is left out: it needs a C++ compiler, g++ or what CXX names")
            del commands["PyTorch, torch.compile"]
        results = measure_in_turn(commands, _ROUNDS.value)
    work = "arch2vec training, NAS-Bench-101, batch 32, one core"
    figures = [
        Figure(work, name, tuple(round_["train_per_cpu_second"] for round_ in rounds), "cells per CPU-second", goal)
        for name, rounds in results.items()
        for goal in ["1.5 times JAX" if name == "tfnas, preset published_code" else ""]
    ]
    figures += [
        Figure(f"share of matmul peak, {work}", name, tuple(map(share_of_peak, results[name])), "%", "60")
        for name in ("tfnas, preset published_code", "tfnas, preset tfnas")
    ]
    embedding = [
        measurement([*tfnas_python, "--only=embed", f"--encoder={_ENCODER.value}"]) for _ in range(_ROUNDS.value)
    ]
    work = f"embedding of {embedding[0]['cells']:,} cells, SavedModel load included, all cores"
    for key, unit in (("seconds", "s"), ("cells_per_second", "cells per second"), ("peak_gigabytes", "GB")):
        figures.append(Figure(f"{work}: {unit}", "tfnas", tuple(round_[key] for round_ in embedding), unit))
    record("arch2vec", figures, {"rounds": _ROUNDS.value})


def share_of_peak(training: Measurement) -> float:
    """Per cent of the rate of large matrix products that the products of training reach."""
    return 100 * training["gflops"] / training["peak_gflops"]


def some_cells() -> CellTable:
    """50,000 cells of NAS-Bench-101, the same in every process."""
    from tfnas.spaces import NASBench101

    return NASBench101().sample(50_000, np.random.default_rng(0))


def measure_training(name: str, batch_size: int | None = None) -> Measurement:
    """Speed of the compiled loop on the device that TensorFlow has.

    Args:
      name: preset.
      batch_size: cells per update; the preset's by default.

    Returns:
      `train_per_second` and `train_per_cpu_second` (cells), `gflops`, what the network's matrix products alone come to,
      and `peak_gflops`, the rate of large products: per CPU-second on CPUs, per second on a GPU.
    """
    import tensorflow as tf

    from tfnas.encoders.arch2vec.config import preset
    from tfnas.encoders.arch2vec.task import Arch2VecTask
    from tfnas.spaces import NASBench101
    from tfnas.training import loop

    config = preset(name) if batch_size is None else preset(name, batch_size=batch_size)
    cells = some_cells()
    task = Arch2VecTask(config, NASBench101(), cells, cells[:1], seed=1, epochs=8)
    schedule = loop.TrainingConfig(epochs=1, batch_size=config.batch_size, seed=1, clip_norm=config.clip_norm)
    task.optimizer.build(task.model.trainable_variables)
    program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), _STEPS, training=True)
    indices, weights = (
        np.resize(rows, (_STEPS, config.batch_size)) for rows in loop.epoch_batches(len(cells), schedule, 1)
    )
    arguments = tf.constant(indices), tf.constant(weights)

    def run() -> None:
        draws = task.draw(tf.constant([1, 2]), _STEPS, config.batch_size)
        program(*arguments, draws, tf.constant(_STEPS)).numpy()

    run()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(_CALLS):
        run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = _CALLS * _STEPS * config.batch_size
    # Two operations per weight and use forward, twice that backward; only matrix products count. The joint decoder is
    # used once per cell, every other weight once per vertex.
    products = sum(
        int(np.prod(v.shape)) * (1 if "joint" in v.name else NASBench101.max_vertices)
        for v in task.model.trainable_variables
        if len(v.shape) == 2
    )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return {
        "train_per_second": count / wall,
        "train_per_cpu_second": count / cpu,
        "gflops": count / (wall if on_gpu else cpu) * 6 * products / 1e9,
        "peak_gflops": matmul_peak(on_gpu),
    }


def matmul_peak(on_gpu: bool) -> float:
    """GFLOP of large float32 products per CPU-second, or on a GPU per second."""
    import tensorflow as tf

    size, clock = (8192, time.perf_counter) if on_gpu else (1536, time.process_time)
    square = tf.random.stateless_normal([size, size], [1, 2])
    times = 5

    def multiply() -> None:
        for _ in range(times):
            product = tf.matmul(square, square)
        product[0, 0].numpy()

    multiply()
    started = clock()
    multiply()
    return times * 2 * size**3 / (clock() - started) / 1e9


def measure_embedding() -> Measurement:
    """Seconds from the SavedModel on disk to all embeddings of NAS-Bench-101."""
    import resource

    from tfnas.encoders.arch2vec.saved import SavedCellEncoder
    from tfnas.spaces import get_space

    tfnas.runtime.one_thread_per_operation()
    manifest = tfnas.artefacts.read_manifest(_ENCODER.value)
    cells = get_space(manifest["space"]).enumerate()
    started = time.perf_counter()
    SavedCellEncoder(_ENCODER.value).embed(cells)
    seconds = time.perf_counter() - started
    return {
        "cells": len(cells),
        "seconds": seconds,
        "cells_per_second": len(cells) / seconds,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


if __name__ == "__main__":
    app.run(main)

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
    else:
        compare()


def compare() -> None:
    """Measures all programs in turn, and records the figures; without --torch_python those of tfnas alone."""
    cells = some_cells()
    tfnas_python = [sys.executable, "-m", "perf.arch2vec"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cells.npz"
        np.savez(path, ops=cells.one_hot(5), adjacency=cells.adjacency.astype(np.float32))
        commands = rivals(_TORCH_PYTHON.value, path) if _TORCH_PYTHON.value else {}
        for preset in ("published_code", "tfnas"):
            commands[f"tfnas, preset {preset}"] = [*tfnas_python, "--only=train", f"--preset={preset}"]
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


def rivals(python: str, cells: pathlib.Path) -> dict[str, list[str]]:
    """Commands of the other programs; torch.compile is left out without a C++ compiler."""
    torch = [python, "perf/arch2vec_pytorch.py", f"--cells={cells}"]
    commands = {"JAX, jit and scan": [python, "perf/arch2vec_jax.py", f"--cells={cells}"]}
    if shutil.which(os.environ.get("CXX", "g++")):
        commands["PyTorch, torch.compile"] = [*torch, "--compile"]
    else:
        print("torch.compile is left out: it needs a C++ compiler, g++ or what CXX names")
    return commands | {"PyTorch, eager": torch}


def share_of_peak(training: Measurement) -> float:
    """Per cent of the rate of large matrix products that the products of training reach."""
    return 100 * training["gflops"] / training["peak_gflops"]


def some_cells() -> CellTable:
    """50,000 cells of NAS-Bench-101, the same in every process."""
    from tfnas.spaces import NASBench101

    return NASBench101().sample(50_000, np.random.default_rng(0))


def measure_training(name: str) -> Measurement:
    """Cells per CPU-second of the compiled loop, and the matrix-product peak of the same process.

    Args:
      name: preset.

    Returns:
      `train_per_cpu_second` (cells), `gflops`, what the network's matrix products alone come to, and `peak_gflops`, the
      rate of large products, both per CPU-second.
    """
    from perf.arithmetic import flops_per_cell, matmul_peak, training_steps
    from tfnas.encoders.arch2vec.config import preset
    from tfnas.encoders.arch2vec.task import Arch2VecTask
    from tfnas.spaces import NASBench101

    config = preset(name)
    cells = some_cells()
    task = Arch2VecTask(config, NASBench101(), cells, cells[:1], seed=1, epochs=8)
    update = training_steps(task, config, _STEPS)
    update()
    started = time.process_time()
    for _ in range(_CALLS):
        update()
    rate = _CALLS * _STEPS * config.batch_size / (time.process_time() - started)
    gflops = rate * flops_per_cell(task.space, task.model) / 1e9
    return {"train_per_cpu_second": rate, "gflops": gflops, "peak_gflops": matmul_peak(1536, 5, time.process_time)}


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

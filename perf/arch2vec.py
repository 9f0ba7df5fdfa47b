"""Speed of arch2vec beside an eager PyTorch implementation of the same network, measured in turn in one run.

  make perf

or, with an environment that holds PyTorch, `python -m perf.arch2vec --torch_python=PATH`. Every program runs on one
thread where CPU-seconds are compared. Prints medians over the rounds, ratios, and the share of the machine's measured
matrix-product peak that training reaches.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

import tfnas
from tfnas.spaces import CellTable

_TORCH_PYTHON = flags.DEFINE_string("torch_python", None, "Python that can import torch.", required=True)
_ENCODER = flags.DEFINE_string("encoder", "saved_models/arch2vec_nasbench101", "Encoder for the embedding benchmark.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each program.")
_ONLY = flags.DEFINE_enum("only", None, ["train", "embed"], "Measure this in this process and print JSON (internal).")
_PRESET = flags.DEFINE_string("preset", "published_code", "The preset whose network PyTorch runs too, or another.")
_STEPS = 100


def main(_: list[str]) -> None:
    """Measures in child processes, so that no program sees another's threads or caches."""
    if _ONLY.value == "train":
        print(json.dumps(measure_training(_PRESET.value)))
    elif _ONLY.value == "embed":
        print(json.dumps(measure_embedding()))
    else:
        compare()


def compare() -> None:
    """Prints the comparison."""
    from tfnas.reports.tables import markdown

    cells = some_cells()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cells.npz"
        np.savez(path, ops=cells.one_hot(5), adjacency=cells.adjacency.astype(np.float32))
        torch = [_TORCH_PYTHON.value, "perf/arch2vec_pytorch.py", f"--cells={path}"]
        ours = [sys.executable, __file__, f"--torch_python={_TORCH_PYTHON.value}", "--only=train"]
        results: dict[str, list[dict[str, float]]] = {"torch": [], "published_code": [], "tfnas": []}
        for _ in range(_ROUNDS.value):
            results["torch"].append(child(torch))
            for preset in ("published_code", "tfnas"):
                results[preset].append(child([*ours, f"--preset={preset}"]))
    peak = statistics.median(result["peak_gflops"] for result in results["tfnas"])
    base = statistics.median(result["train_per_cpu_second"] for result in results["torch"])
    rows = []
    for name, found in results.items():
        rate = statistics.median(result["train_per_cpu_second"] for result in found)
        used = statistics.median(result.get("gflops", 0.0) for result in found)
        rows.append([name, f"{rate:,.0f}", f"{rate / base:.2f}", f"{used / peak:.0%}" if used else "-"])
    print(f"Pretraining on NAS-Bench-101, batch 32, one thread; matrix-product peak {peak:.0f} GFLOP/s")
    print(markdown(["program", "cells per CPU-second", "ratio", "share of peak"], rows))
    embedding = [child([*ours[:-1], "--only=embed", f"--encoder={_ENCODER.value}"]) for _ in range(_ROUNDS.value)]
    seconds = sorted(result["seconds"] for result in embedding)
    rate = statistics.median(result["cells_per_second"] for result in embedding)
    torch_rate = statistics.median(result["embed_per_cpu_second"] for result in results["torch"])
    print(
        f"Embedding {embedding[0]['cells']:,} cells, SavedModel load and compilation included, all cores: "
        f"median {statistics.median(seconds):.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f}), {rate:,.0f} cells/s; "
        f"peak memory {max(result['peak_gigabytes'] for result in embedding):.2f} GB; "
        f"eager PyTorch embeds {torch_rate:,.0f} cells per CPU-second"
    )


def some_cells() -> CellTable:
    """50,000 cells of NAS-Bench-101, the same in every process."""
    from tfnas.spaces import NASBench101

    return NASBench101().sample(50_000, np.random.default_rng(0))


def child(command: list[str]) -> dict[str, float]:
    """Runs a program and returns the JSON object on its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_training(name: str) -> dict[str, float]:
    """Cells per CPU-second of the compiled loop, and the matrix-product peak of the same process."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from tfnas.encoders.arch2vec.config import preset
    from tfnas.encoders.arch2vec.task import Arch2VecTask
    from tfnas.spaces import NASBench101
    from tfnas.training import loop

    config = preset(name)
    cells = some_cells()
    task = Arch2VecTask(config, NASBench101(), cells, cells[:1], seed=1, epochs=8)
    schedule = loop.TrainingConfig(epochs=1, batch_size=config.batch_size, seed=1, clip_norm=config.clip_norm)
    task.optimizer.build(task.model.trainable_variables)
    program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), _STEPS, training=True)
    indices, weights = loop.epoch_batches(len(cells), schedule, 1)
    arguments = tf.constant(indices[:_STEPS]), tf.constant(weights[:_STEPS])

    def run() -> None:
        draws = task.draw(tf.constant([1, 2]), _STEPS, config.batch_size)
        program(*arguments, draws, tf.constant(_STEPS)).numpy()

    run()
    started = time.process_time()
    for _ in range(6):
        run()
    rate = 6 * _STEPS * config.batch_size / (time.process_time() - started)
    # Two operations per weight and use forward, twice that backward; only matrix products count. The joint decoder is
    # used once per cell, everything else once per vertex.
    products = sum(
        int(np.prod(v.shape)) * (1 if "joint" in v.name else NASBench101.max_vertices)
        for v in task.model.trainable_variables
        if len(v.shape) == 2
    )
    return {"train_per_cpu_second": rate, "gflops": rate * 6 * products / 1e9, "peak_gflops": matmul_peak()}


def matmul_peak() -> float:
    """GFLOP per CPU-second of large float32 products."""
    import tensorflow as tf

    square = tf.random.stateless_normal([1536, 1536], [1, 2])
    tf.matmul(square, square).numpy()
    started = time.process_time()
    for _ in range(5):
        tf.matmul(square, square).numpy()
    return 5 * 2 * 1536**3 / (time.process_time() - started) / 1e9


def measure_embedding() -> dict[str, float]:
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

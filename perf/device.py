"""What one device reaches: training, embedding, Jacobians and zero-cost scores, beside its own peak of matrix products.

  python -m perf --device=gpu [--share=0.1] [--parts=training,embedding,jacobians,proxies]

Seconds are those of a clock on the wall, since the device works while the program waits. Compilation stands apart from
the rates. Nothing but the packages of `requirements-gpu.txt` is needed. The figures go to the section `gpu` (or `cpu`)
of `perf/results.json`.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from perf.arithmetic import flops_per_cell, matmul_peak, training_steps
from perf.results import Figure
from tfnas.saved_models import SHIPPED
from tfnas.spaces import NONE, get_space

_ROUNDS = 3
_IMAGE_SHAPE = (32, 32, 3)


def chosen_device(kind: str) -> str:
    """Name of the first device of a kind.

    Args:
      kind: "gpu" or "cpu".

    Raises:
      RuntimeError: TensorFlow sees no such device.
    """
    devices = tf.config.list_logical_devices(kind.upper())
    if not devices:
        raise RuntimeError(f"--device={kind}: TensorFlow sees no such device; `nvidia-smi -L` lists the devices")
    return devices[0].name


def figures(kind: str, share: float = 1.0, parts: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Measures the parts on a device.

    Args:
      kind: "gpu" or "cpu".
      share: share of the sizes of all parts.
      parts: names of `PARTS`; empty for all.
    """
    with tf.device(chosen_device(kind)):
        for name in parts or PARTS:
            yield from PARTS[name](share)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _rates(work: Callable[[], object], count: int) -> tuple[float, tuple[float, ...]]:
    """Seconds of the first call, and things per second in the calls after."""
    first = _timed(work)
    return first, tuple(count / _timed(work) for _ in range(_ROUNDS))


def _sized(count: int, share: float) -> int:
    return max(2, round(count * share))


def training(share: float) -> Iterator[Figure]:
    """Pretraining of both presets of arch2vec at two batch sizes, and of the encoder of computation graphs."""
    peak = matmul_peak(max(256, round(8192 * min(1.0, share))))
    yield Figure("product of float32 matrices", "matmul", (peak,), "GFLOP/s")
    for preset in ("published_code", "tfnas"):
        for batch_size in (32, 1024):
            work = f"arch2vec, preset {preset}, NAS-Bench-101, batch {batch_size}"
            yield from _arch2vec(work, preset, batch_size, peak, share)
    yield from _graph_training(share)


def _arch2vec(work: str, preset_name: str, batch_size: int, peak: float, share: float) -> Iterator[Figure]:
    from tfnas.encoders.arch2vec.config import preset
    from tfnas.encoders.arch2vec.task import Arch2VecTask

    steps = _sized(200, share)
    space = get_space("nasbench101")
    cells = space.sample(max(2 * batch_size, _sized(50_000, share)), np.random.default_rng(0))
    config = preset(preset_name, batch_size=batch_size)
    task = Arch2VecTask(config, space, cells, cells[:1], seed=1, epochs=8)
    first, rates = _rates(training_steps(task, config, steps), steps * batch_size)
    yield Figure(work, "training", rates, "cells/s")
    shares = tuple(rate * flops_per_cell(space, task.model) / 1e9 / peak for rate in rates)
    yield Figure(f"{work}: matrix products", "training", shares, "of the peak")
    yield Figure(f"{work}: first call", "training", (first,), "s")


def _graph_training(share: float) -> Iterator[Figure]:
    from tfnas.encoders.computation_graph.config import preset
    from tfnas.encoders.computation_graph.task import ContrastiveTask
    from tfnas.networks.symbolic.packing import pack_cells

    steps = _sized(20, share)
    config = preset("tfnas") if share >= 1 else preset("tfnas", batch_size=8)
    batch_size = config.batch_size
    space = get_space("nasbench101")
    graphs = pack_cells(space, space.sample(max(2 * batch_size, _sized(5000, share)), np.random.default_rng(0)))
    task = ContrastiveTask(config, graphs, 1, 1)
    first, rates = _rates(training_steps(task, config, steps), steps * batch_size)
    work = f"encoder of computation graphs, preset tfnas, NAS-Bench-101, batch {batch_size}"
    yield Figure(work, "training", rates, "graphs/s")
    yield Figure(f"{work}: first call", "training", (first,), "s")


def embedding(share: float) -> Iterator[Figure]:
    """Embedding by shipped encoders: cells of NAS-Bench-101, and computation graphs of NAS-Bench-301."""
    from tfnas import encoders
    from tfnas.networks.symbolic.packing import pack_cells

    count = _sized(200_000, share)
    cells = get_space("nasbench101").sample(count, np.random.default_rng(0))
    cell_encoder = encoders.load(SHIPPED / "arch2vec_nasbench101")
    first, rates = _rates(lambda: cell_encoder.embed(cells), count)
    yield Figure("cells of NAS-Bench-101, arch2vec", "embedding", rates, "cells/s")
    yield Figure("cells of NAS-Bench-101, arch2vec: first call", "embedding", (first,), "s")
    count = _sized(2000, share)
    space = get_space("nasbench301")
    graphs = pack_cells(space, space.sample(count, np.random.default_rng(0)), layout="benchmark")
    graph_encoder = encoders.load(SHIPPED / "cg_encoder")
    first, rates = _rates(lambda: graph_encoder.embed(graphs), count)
    yield Figure("graphs of 347 operators, cg_encoder", "embedding", rates, "graphs/s")
    yield Figure("graphs of 347 operators, cg_encoder: first call", "embedding", (first,), "s")


def jacobians(share: float) -> Iterator[Figure]:
    """Data Jacobians of cells of NAS-Bench-201, 64 images, by the program that all cells share."""
    from tfnas.encoders.jacobian.space_programs import space_jacobians

    space, architectures = _cells_without_none(_sized(24, share))
    images = tf.constant(np.random.default_rng(0).normal(size=(64, *_IMAGE_SHAPE)), tf.float32)
    program = space_jacobians(space, 0)
    first = _timed(lambda: program(images, architectures[0]).numpy())
    rates = tuple(
        len(architectures) / _timed(lambda: [program(images, architecture).numpy() for architecture in architectures])
        for _ in range(_ROUNDS)
    )
    yield Figure("Jacobian of a cell of NAS-Bench-201, 64 images", "Jacobians", rates, "cells/s")
    yield Figure("Jacobian of a cell of NAS-Bench-201: first call", "Jacobians", (first,), "s")


def proxies(share: float) -> Iterator[Figure]:
    """Six zero-cost scores of cells of NAS-Bench-201, 64 images, operation by operation."""
    from tfnas.proxies.spaces import scorer

    space, architectures = _cells_without_none(_sized(12, share))
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(64, *_IMAGE_SHAPE)).astype(np.float32), rng.integers(0, 10, 64)
    score = scorer(space, images, labels)
    first = _timed(lambda: score(architectures[0]))
    rates = tuple(
        len(architectures) / _timed(lambda: [score(architecture) for architecture in architectures])
        for _ in range(_ROUNDS)
    )
    yield Figure("six scores of a cell of NAS-Bench-201, 64 images", "proxies", rates, "cells/s")
    yield Figure("six scores of a cell of NAS-Bench-201: first call", "proxies", (first,), "s")


def _cells_without_none(count: int):
    space = get_space("nasbench201")
    cells = space.sample_without(NONE, count, np.random.default_rng(0))
    return space, [space.architecture(cells, row) for row in range(count)]


PARTS: dict[str, Callable[[float], Iterator[Figure]]] = {
    "training": training,
    "embedding": embedding,
    "jacobians": jacobians,
    "proxies": proxies,
}
"""Functions that measure, by name; each takes the share of its sizes and gives figures."""

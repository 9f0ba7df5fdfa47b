"""Speed of data Jacobians of NAS-Bench-201 cells.

  python -m perf.jacobian [--torch_python=PATH] [--num_images=64]

Prints processor seconds per Jacobian and its projection, on one core: by the program that all cells share, by a Keras
network built and traced for each, and in eager PyTorch; the shared program's share of the machine's convolution peak
(the fastest of some large convolutions, measured in the same run); and networks per second when all cores work side by
side.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from tfnas.encoders.jacobian.extract import available_devices
from tfnas.encoders.jacobian.program import JacobianProgram, describe
from tfnas.encoders.jacobian.space_programs import space_jacobians
from tfnas.networks.initialization import draw_weights
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton, operation_codes, work
from tfnas.reports import tables
from tfnas.runtime import one_device_per_core, one_thread_per_operation
from tfnas.spaces import NONE, Architecture, NASBench201

_CELLS = 24
_BUILT = 4
_SHAPE = (32, 32, 3)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="interpreter with PyTorch")
    parser.add_argument("--num_images", type=int, default=64)
    parser.add_argument("--part", choices=("cores",), help="only the networks per second on all cores")
    arguments = parser.parse_args()
    space = NASBench201()
    rng = np.random.default_rng(0)
    cells = space.sample_without(NONE, _CELLS, rng)
    architectures = [space.architecture(cells, row) for row in range(_CELLS)]
    images = rng.normal(size=(arguments.num_images, *_SHAPE)).astype(np.float32)
    if arguments.part == "cores":
        one_device_per_core()
        print(json.dumps(_together(architectures, images)))
        return
    one_thread_per_operation()
    batch = tf.constant(images)
    start = time.process_time()
    program = space_jacobians(NASBench201(), 0)
    _projected(program(batch, architectures[0]))
    once = time.process_time() - start
    alone = _seconds(lambda architecture: program(batch, architecture).numpy(), architectures)
    shared = _seconds(lambda architecture: _projected(program(batch, architecture)), architectures)
    built = _seconds(lambda architecture: _build_and_trace(architecture, images), architectures[:_BUILT])
    table = [
        [f"one program for all cells (traced once, {once:.0f} s)", f"{shared:.3f}", "1.0"],
        ["a Keras network built and traced for each", f"{built:.3f}", f"{built / shared:.1f}"],
    ]
    if arguments.torch_python:
        for name, seconds in zip(
            ("eager PyTorch, SVD (as published)", "eager PyTorch, Gram matrix"),
            _pytorch(arguments.torch_python, architectures, images),
            strict=True,
        ):
            table.append([name, f"{seconds:.3f}", f"{seconds / shared:.1f}"])
    header = f"a projected Jacobian, {len(images)} images, one core"
    print(tables.markdown([header, "processor seconds", "ratio"], table))

    codes = np.array([operation_codes(architecture) for architecture in architectures])
    multiply_adds = work(Skeleton(), codes, _SHAPE)[1].mean() * len(images) * 2  # forward, and back to the images
    peak = _peak()
    command = [sys.executable, __file__, "--part=cores", f"--num_images={len(images)}"]
    together = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rest = [
        ["Jacobian without its projection, seconds", f"{alone:.3f}"],
        ["multiply-adds of convolutions, G", f"{multiply_adds / 1e9:.2f}"],
        ["G multiply-adds per second", f"{multiply_adds / alone / 1e9:.1f}"],
        ["peak of large convolutions, G multiply-adds per second", f"{peak / 1e9:.1f}"],
        ["share of that peak", f"{100 * multiply_adds / alone / peak:.0f} %"],
        ["networks per second on one core", f"{1 / shared:.1f}"],
        [f"networks per second, {os.cpu_count()} cores side by side", f"{together:.1f}"],
    ]
    print(tables.markdown(["shared program", "value"], rest))


def _together(architectures: list[Architecture], images: np.ndarray) -> float:
    """Networks per second when every core has a device and a thread of its own, as in extraction."""
    devices = available_devices()
    program = space_jacobians(NASBench201(), 0)
    batches = []
    for device in devices:
        with tf.device(device):
            batches.append(tf.constant(images))
            _projected(program(batches[-1], architectures[0]))

    def work_on(place: int) -> None:
        with tf.device(devices[place]):
            for architecture in architectures[place :: len(devices)]:
                _projected(program(batches[place], architecture))

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work_on, range(len(devices))))
    return len(architectures) / (time.perf_counter() - start)


def _pytorch(python: str, architectures: list[Architecture], images: np.ndarray) -> list[float]:
    names = [list(architecture.operations[1:-1]) for architecture in architectures]
    script = pathlib.Path(__file__).with_name("jacobian_pytorch.py")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "images.npy"
        np.save(path, images)
        command = [python, str(script), json.dumps(names), str(path)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _projected(jacobian: tf.Tensor) -> None:
    describe(jacobian, _SHAPE, min(64, jacobian.shape[0]))


def _seconds(function, architectures: list[Architecture]) -> float:
    start = time.process_time()
    for architecture in architectures:
        function(architecture)
    return (time.process_time() - start) / len(architectures)


def _build_and_trace(architecture: Architecture, images: np.ndarray) -> None:
    network = NASBench201Network(Skeleton(), architecture, LayerSettings("pytorch"))
    network(images[:1])
    draw_weights(network, 0)
    program = JacobianProgram(network, rule=None, call=lambda batch: network(batch, training=False))
    _projected(program.jacobian(images, (0, 0)))


def _peak() -> float:
    """Multiply-adds per second of the fastest of some large convolutions on one core."""
    best = 0.0
    for channels in (64, 128, 256):
        inputs, kernel = tf.random.normal([32, 32, 32, channels]), tf.random.normal([3, 3, channels, channels])
        convolve = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
        convolve(inputs, kernel)
        start = time.process_time()
        for _ in range(3):
            convolve(inputs, kernel).numpy()
        best = max(best, 3 * 32 * 32 * 32 * 9 * channels**2 / (time.process_time() - start))
    return best


if __name__ == "__main__":
    main()

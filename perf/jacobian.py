"""Speed of data Jacobians of NAS-Bench-201 cells, beside PyTorch, measured in turn in one run.

  python -m perf.jacobian [--torch_python=PATH] [--num_images=64]

CPU-seconds per Jacobian and its projection, on one core: by the program that all cells share, by a Keras network built
and traced for each, and in eager PyTorch; when the first one is there, imports included; the shared program's share of
the machine's convolution peak (the fastest of some large convolutions, measured in the same process); and networks per
second when all cores work side by side.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np

from perf import rivals
from perf.results import Figure, record
from tfnas.spaces import NONE, Architecture, NASBench201

_CELLS = 24
_BUILT = 4
_SHAPE = (32, 32, 3)
_SHARED, _BUILT_ANEW = "tfnas, one program for all cells", "Keras, a network built and traced for each"
_GOALS = {_BUILT_ANEW: ">= 5 times tfnas", "eager PyTorch, SVD (as published)": ">= 1.5 times tfnas"}


def main() -> None:
    """Measures in child processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="interpreter with PyTorch")
    parser.add_argument("--num_images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each program")
    parser.add_argument("--part", choices=("shared", "built", "cores"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    images = np.random.default_rng(0).normal(size=(arguments.num_images, *_SHAPE)).astype(np.float32)
    if arguments.part:
        print(json.dumps({"shared": shared, "built": built, "cores": side_by_side}[arguments.part](images)))
    else:
        compare(images, arguments.torch_python, arguments.rounds)


def compare(images: np.ndarray, torch_python: str | None, rounds: int) -> None:
    """Measures the programs in turn, and records the figures; PyTorch is left out without an interpreter."""

    def part(name: str) -> list[str]:
        return [sys.executable, "-m", "perf.jacobian", f"--part={name}", f"--num_images={len(images)}"]

    commands = {_SHARED: part("shared"), _BUILT_ANEW: part("built")}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "images.npy")
        np.save(path, images)
        if torch_python:
            operations = json.dumps([list(architecture.operations[1:-1]) for architecture in some_cells(_CELLS)])
            for name, projection in (("SVD (as published)", "svd"), ("Gram matrix", "gram")):
                commands[f"eager PyTorch, {name}"] = [
                    torch_python,
                    "perf/jacobian_pytorch.py",
                    operations,
                    str(path),
                    projection,
                ]
        measured = rivals.measure_in_turn(commands, rounds)
    together = rivals.measurement(part("cores"))

    def figure(work: str, key: str, unit: str, goals: dict[str, str]) -> list[Figure]:
        return [
            Figure(work, name, tuple(found[key] for found in of_program), unit, goals.get(name, ""))
            for name, of_program in measured.items()
            if key in of_program[0]
        ]

    record(
        "jacobian",
        [
            *figure(
                f"a projected Jacobian of a NAS-Bench-201 cell, {len(images)} images, one core",
                "cell",
                "CPU-seconds",
                _GOALS,
            ),
            *figure("first Jacobian after", "first", "CPU-seconds", {}),
            *figure("multiply-adds of convolutions, Jacobian without its projection", "rate", "G per CPU-second", {}),
            *figure("share of the peak of large convolutions", "share", "%", {}),
            Figure(
                f"Jacobians, {os.cpu_count()} cores side by side", _SHARED, (together["networks"],), "cells per second"
            ),
        ],
        {"rounds": rounds},
    )


def some_cells(count: int) -> list[Architecture]:
    """Random cells without `none`."""
    space = NASBench201()
    cells = space.sample_without(NONE, count, np.random.default_rng(0))
    return [space.architecture(cells, row) for row in range(count)]


def shared(images: np.ndarray) -> rivals.Measurement:
    """The program that all cells share."""
    import tensorflow as tf

    from tfnas.encoders.jacobian.space_programs import space_jacobians
    from tfnas.networks.nasbench201 import Skeleton, operation_codes, work
    from tfnas.runtime import one_thread_per_operation

    one_thread_per_operation()
    architectures, batch = some_cells(_CELLS), tf.constant(images)
    program = space_jacobians(NASBench201(), 0)
    _project(program(batch, architectures[0]))
    first = time.process_time()
    alone = _seconds(lambda architecture: program(batch, architecture).numpy(), architectures)
    cell = _seconds(lambda architecture: _project(program(batch, architecture)), architectures)
    codes = np.array([operation_codes(architecture) for architecture in architectures])
    multiply_adds = work(Skeleton(), codes, _SHAPE)[1].mean() * len(images) * 2  # forward, and back to the images
    rate = multiply_adds / alone
    return {"first": first, "cell": cell, "rate": rate / 1e9, "share": 100 * rate / convolution_peak()}


def built(images: np.ndarray) -> rivals.Measurement:
    """A Keras network that is built and traced for each cell."""
    from tfnas.encoders.jacobian.program import JacobianProgram
    from tfnas.networks.initialization import draw_weights
    from tfnas.networks.layers import LayerSettings
    from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
    from tfnas.runtime import one_thread_per_operation

    one_thread_per_operation()

    def build_and_trace(architecture: Architecture) -> None:
        network = NASBench201Network(Skeleton(), architecture, LayerSettings("pytorch"))
        network(images[:1])
        draw_weights(network, 0)
        program = JacobianProgram(network, rule=None, call=lambda batch: network(batch, training=False))
        _project(program.jacobian(images, (0, 0)))

    return {"cell": _seconds(build_and_trace, some_cells(_BUILT))}


def side_by_side(images: np.ndarray) -> rivals.Measurement:
    """Networks per second when every core has a device and a thread of its own, as in extraction."""
    import tensorflow as tf

    from tfnas.encoders.jacobian.extract import available_devices
    from tfnas.encoders.jacobian.space_programs import space_jacobians
    from tfnas.runtime import one_device_per_core

    one_device_per_core()
    devices, architectures = available_devices(), some_cells(_CELLS)
    program = space_jacobians(NASBench201(), 0)
    batches = []
    for device in devices:
        with tf.device(device):
            batches.append(tf.constant(images))
            _project(program(batches[-1], architectures[0]))

    def work_on(place: int) -> None:
        with tf.device(devices[place]):
            for architecture in architectures[place :: len(devices)]:
                _project(program(batches[place], architecture))

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work_on, range(len(devices))))
    return {"networks": len(architectures) / (time.perf_counter() - started)}


def convolution_peak() -> float:
    """Multiply-adds per CPU-second of the fastest of some large convolutions on one core."""
    import tensorflow as tf

    best = 0.0
    for channels in (64, 128, 256):
        inputs, kernel = tf.random.normal([32, 32, 32, channels]), tf.random.normal([3, 3, channels, channels])
        convolve = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
        convolve(inputs, kernel)
        started = time.process_time()
        for _ in range(3):
            convolve(inputs, kernel).numpy()
        best = max(best, 3 * 32 * 32 * 32 * 9 * channels**2 / (time.process_time() - started))
    return best


def _project(jacobian) -> None:
    from tfnas.encoders.jacobian.program import describe

    describe(jacobian, _SHAPE, min(64, jacobian.shape[0]))


def _seconds(function: Callable[[Architecture], None], architectures: Sequence[Architecture]) -> float:
    started = time.process_time()
    for architecture in architectures:
        function(architecture)
    return (time.process_time() - started) / len(architectures)


if __name__ == "__main__":
    main()

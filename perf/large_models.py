"""Large and hostile ONNX files: processor time and memory of reading them.

  python -m perf.large_models

Every file is made and read in a process of its own. Prints its size, what came of it, CPU-seconds of the import alone,
and the peak memory of the process, TensorFlow included.
"""

import argparse
import multiprocessing
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tfnas.errors import TfnasError
from tfnas.reports import tables

NODES = 100_000


def model(nodes: list[Any], shape: tuple[int, ...] = (1, 8, 16, 16), **constants: np.ndarray) -> Any:
    """A model with one input x and one output y."""
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)])


def between(number: int, count: int) -> tuple[str, str]:
    """Names of what a node of a chain reads and makes."""
    return f"t{number}" if number else "x", f"t{number + 1}" if number < count - 1 else "y"


def chain(count: int) -> Any:
    """Convolution, ReLU, sum with the input, over and over."""
    nodes = []
    for number in range(count):
        before, after = between(number, count)
        if number % 3 == 0:
            nodes.append(helper.make_node("Conv", [before, "w"], [after], pads=[1, 1, 1, 1]))
        else:
            kind, inputs = ("Relu", [before]) if number % 3 == 1 else ("Add", [before, "x"])
            nodes.append(helper.make_node(kind, inputs, [after]))
    return model(nodes, w=np.ones((8, 8, 3, 3), np.float32))


def views(count: int) -> Any:
    """Reshapes to a computed shape: five operators each."""
    nodes, before = [], "x"
    for number in range(count // 5):
        nodes += [
            helper.make_node("Shape", [before], [f"s{number}"]),
            helper.make_node("Gather", [f"s{number}", "zero"], [f"g{number}"]),
            helper.make_node("Unsqueeze", [f"g{number}", "axis"], [f"u{number}"]),
            helper.make_node("Concat", [f"u{number}", "rest"], [f"c{number}"], axis=0),
            helper.make_node("Reshape", [before, f"c{number}"], [f"r{number}"]),
        ]
        before = f"r{number}"
    nodes.append(helper.make_node("Relu", [before], ["y"]))
    return model(nodes, zero=np.int64(0), axis=np.array([0]), rest=np.array([-1]))


def unknown(count: int) -> Any:
    """Operators that nobody knows."""
    nodes = [helper.make_node("Foo", [a], [b], domain="mine") for a, b in (between(k, count) for k in range(count))]
    return model(nodes)


def loops(count: int) -> Any:
    """Loops of three turns."""
    state = [helper.make_tensor_value_info("go", TensorProto.BOOL, None)]
    state += [helper.make_tensor_value_info("h", TensorProto.FLOAT, None)]
    body = helper.make_graph(
        [helper.make_node("Relu", ["h"], ["r"])],
        "body",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, None), *state],
        [state[0], helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
    )
    pairs = (between(number, count) for number in range(count))
    return model([helper.make_node("Loop", ["turns", "", a], [b], body=body) for a, b in pairs], turns=np.int64(3))


def axes(count: int) -> Any:
    """A tensor of very many axes."""
    return model([helper.make_node("Relu", ["x"], ["y"])], shape=(1,) * count)


def numbers(count: int) -> Any:
    """A tensor of 2 to the 80 numbers."""
    return model([helper.make_node("Tile", ["x", "n"], ["y"])], (1, 1, 1), n=np.array([1, 2**40, 2**40]))


def turns(count: int) -> Any:
    """The sum of all whole numbers up to 2 to the 62."""
    nodes = [helper.make_node("Range", ["a", "b", "c"], ["r"]), helper.make_node("Cast", ["r"], ["f"], to=1)]
    nodes.append(helper.make_node("Add", ["x", "f"], ["y"]))
    return model(nodes, (1, 1), a=np.int64(0), b=np.int64(2**62), c=np.int64(1))


CASES: dict[str, tuple[Callable[[int], Any], int]] = {
    "convolutions, ReLUs, sums": (chain, NODES),
    "reshapes to computed shapes": (views, NODES),
    "unknown operators": (unknown, NODES),
    "loops": (loops, NODES // 5),
    "axes of one tensor": (axes, 5000),
    "2^80 numbers": (numbers, 1),
    "a range of 2^62 numbers": (turns, 1),
}


def measured(name: str) -> list[str]:
    """A row of the table."""
    make, count = CASES[name]
    from tfnas.graphs.importers.onnx_graphs import from_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.onnx")
        onnx.save(make(count), str(path))
        start = time.process_time()
        try:
            graph = from_onnx(path)
            result = f"{graph.num_nodes:,} operators, {len(graph.notes)} notes"
        except TfnasError as error:
            result = f"refused: {str(error).removeprefix(f'{path}: ')[:80]}"
        seconds = time.process_time() - start
        size = path.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return [f"{count:,} {name}" if count > 1 else name, f"{size:.1f}", result, f"{seconds:.1f}", f"{peak:.2f}"]


def main() -> None:
    """Prints the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows = []
    for name in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measured, (name,)))
    print(tables.markdown(["file of", "MB", "result", "CPU s", "peak GB"], rows))


if __name__ == "__main__":
    main()

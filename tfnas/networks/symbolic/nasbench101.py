"""Networks of NAS-Bench-101 as computation graphs."""

import functools

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.nasbench101 import NASBench101Skeleton, vertex_channels
from tfnas.networks.symbolic.templates import Assembly, Sketch, Template, Value, classifier_head
from tfnas.spaces import Architecture, NASBench101
from tfnas.spaces.nasbench101 import CONV1X1, CONV3X3, prune


def nasbench101(
    architecture: Architecture, skeleton: NASBench101Skeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of a NAS-Bench-101 cell, by default the benchmark's; the predictor's layout is the same.

    Raises:
      InvalidArchitectureError: not a cell of the space.
    """
    NASBench101().require_valid(architecture)
    skeleton = skeleton or NASBench101Skeleton()
    cell = prune(architecture)
    module = _module(cell.operations, cell.adjacency.tobytes())
    assembly = Assembly()
    size = image_size
    (node,) = assembly.stamp(_stem(), (), {"size": size, "channels": 3, "width": skeleton.channels})
    for number, (before, width) in enumerate(skeleton.modules()):
        if number and number % skeleton.modules_per_stack == 0:
            values = {"size": size, "half": -(-size // 2), "channels": before}
            (node,) = assembly.stamp(_pool(), (node,), values)
            size = values["half"]
        channels = vertex_channels(before, width, cell.adjacency)
        (node,) = assembly.stamp(module, (node,), {"size": size, **{f"v{v}": c for v, c in enumerate(channels)}})
    values = {"size": size, "channels": skeleton.modules()[-1][1], "classes": skeleton.num_classes}
    assembly.stamp(classifier_head(), (node,), values)
    return assembly.graph()


@functools.cache
def _stem() -> Template:
    sketch = Sketch()
    return sketch.template(_conv_bn_relu(sketch, sketch.image(), "width", 3))


@functools.cache
def _pool() -> Template:
    sketch = Sketch()
    return sketch.template(sketch.pool("max_pool", sketch.port("size", "channels"), 2, "half"))


def _conv_bn_relu(sketch: Sketch, value: Value, channels: str, kernel: int) -> Value:
    return sketch.node("relu", sketch.norm(sketch.conv(value, channels, kernel)))


@functools.lru_cache(1024)
def _module(operations: tuple[str, ...], adjacency: bytes) -> Template:
    """The cell with the channels of vertex t called `vt`."""
    count = len(operations)
    matrix = np.frombuffer(adjacency, np.uint8).reshape(count, count)
    sketch = Sketch()
    inputs = sketch.port("size", "v0")
    values = [inputs]
    for vertex in range(1, count):
        width = f"v{vertex}"
        sources = [values[source] for source in np.flatnonzero(matrix[1:, vertex]) + 1]
        projected = [_conv_bn_relu(sketch, inputs, width, 1)] if matrix[0, vertex] else []
        if vertex == count - 1:
            joined = [sketch.node("concat", *sources, channels=width)] if len(sources) > 1 else sources
            summands = joined + projected
        else:
            summands = [value.sliced(width) for value in sources] + projected
        value = summands[0] if len(summands) == 1 else sketch.node("add", *summands)
        if vertex == count - 1:
            return sketch.template(value)
        if operations[vertex] in (CONV1X1, CONV3X3):
            value = _conv_bn_relu(sketch, value, width, 1 if operations[vertex] == CONV1X1 else 3)
        else:
            value = sketch.pool("max_pool", value, 3)
        values.append(value)
    raise AssertionError("a cell has an output")

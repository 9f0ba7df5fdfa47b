"""Networks of NAS-Bench-201 and of the size space of NATS-Bench as computation graphs."""

import functools

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.nasbench201 import Skeleton
from tfnas.networks.nats_size import CELL
from tfnas.networks.symbolic.templates import Assembly, Sketch, Template, Value, classifier_head
from tfnas.spaces import NONE, Architecture, NASBench201, NATSSize
from tfnas.spaces.nasbench201 import AVERAGE_POOL, CONV1X1, CONV3X3, NODE_EDGES
from tfnas.spaces.nats_size import widths


def nasbench201(
    architecture: Architecture, skeleton: Skeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of a NAS-Bench-201 cell, by default the benchmark's.

    In the predictor's layout a skip is an `identity`, average pools are followed by a batch norm, the reductions have
    none, and there is no norm before the global mean.

    Raises:
      InvalidArchitectureError: not a cell of the space, or `none` in the predictor's layout.

    References:
      Dong and Yang 2020, section 2.1. The predictor's layout: Han et al. 2023, as GENNAPE releases its graphs.
    """
    NASBench201().require_valid(architecture)
    if predictor_layout and NONE in architecture.operations:
        raise InvalidArchitectureError(f"the predictor's layout has no {NONE!r}")
    skeleton = skeleton or Skeleton()
    cell = _cell(architecture.operations[1:-1], predictor_layout)
    assembly = Assembly()
    size, channels = image_size, skeleton.channels
    (node,) = assembly.stamp(_stem(), (), {"size": size, "channels": 3, "width": channels})
    for stage in range(skeleton.stages):
        if stage:
            values = {"size": size, "half": -(-size // 2), "channels": channels, "double": 2 * channels}
            (node,) = assembly.stamp(_reduction(predictor_layout), (node,), values)
            size, channels = values["half"], values["double"]
        for _ in range(skeleton.cells_per_stage):
            (node,) = assembly.stamp(cell, (node,), {"size": size, "channels": channels, "width": channels})
    _finish(assembly, node, size, channels, skeleton.num_classes, predictor_layout)
    return assembly.graph()


def nats_size(
    architecture: Architecture, skeleton: Skeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of five widths; of the skeleton it takes the number of classes. The predictor's layout is the same.

    Raises:
      InvalidArchitectureError: not an architecture of the space.

    References:
      Dong et al. 2021, "NATS-Bench", section 3.2.
    """
    NATSSize().require_valid(architecture)
    skeleton = skeleton or Skeleton()
    assembly = Assembly()
    size, channels = image_size, widths(architecture)[0]
    (node,) = assembly.stamp(_stem(), (), {"size": size, "channels": 3, "width": channels})
    for stage, width in enumerate(widths(architecture)):
        if stage % 2:
            values = {"size": size, "half": -(-size // 2), "channels": channels, "double": width}
            (node,) = assembly.stamp(_reduction(False), (node,), values)
            size = values["half"]
        else:
            values = {"size": size, "channels": channels, "width": width}
            (node,) = assembly.stamp(_cell(CELL, False, channels != width), (node,), values)
        channels = width
    _finish(assembly, node, size, channels, skeleton.num_classes, False)
    return assembly.graph()


def _finish(assembly: Assembly, node: int, size: int, channels: int, classes: int, predictor_layout: bool) -> None:
    values = {"size": size, "channels": channels, "classes": classes}
    if predictor_layout:
        assembly.stamp(classifier_head("identity"), (node,), values)
    else:
        (node,) = assembly.stamp(_last_norm(), (node,), values)
        assembly.stamp(classifier_head(), (node,), values)


@functools.cache
def _stem() -> Template:
    sketch = Sketch()
    return sketch.template(sketch.norm(sketch.conv(sketch.image(), "width", 3)))


@functools.cache
def _last_norm() -> Template:
    sketch = Sketch()
    return sketch.template(sketch.chain(sketch.port("size", "channels"), "batch_norm", "relu"))


@functools.cache
def _reduction(predictor_layout: bool) -> Template:
    sketch = Sketch()
    inputs = sketch.port("size", "channels")
    if predictor_layout:
        main = sketch.node("relu", sketch.conv(inputs, "channels", 3))
        main = sketch.conv(main, "double", 3, "half")
    else:
        main = sketch.norm(sketch.conv(sketch.node("relu", inputs), "double", 3, "half"))
        main = sketch.norm(sketch.conv(sketch.node("relu", main), "double", 3))
    shortcut = sketch.conv(sketch.pool("avg_pool", inputs, 2, "half"), "double", 1)
    total = sketch.node("add", main, shortcut)
    return sketch.template(sketch.node("relu", total) if predictor_layout else total)


@functools.lru_cache(1024)
def _cell(operations: tuple[str, ...], predictor_layout: bool, widens: bool = False) -> Template:
    """The cell of six edge operations, from `channels` to `width`."""
    sketch = Sketch()

    def apply(name: str, value: Value, projects: bool) -> Value:
        if name in (CONV1X1, CONV3X3):
            size = 1 if name == CONV1X1 else 3
            return sketch.norm(sketch.conv(sketch.node("relu", value), "width", size))
        if name == AVERAGE_POOL:
            value = sketch.pool("avg_pool", value, 3)
            return sketch.norm(value) if predictor_layout else value
        if name == NONE:
            return sketch.node("zero", value)
        if projects:
            return sketch.norm(sketch.conv(value, "width", 1))
        return sketch.node("identity", value) if predictor_layout else value

    values: list[Value | None] = [sketch.port("size", "channels"), None, None, None]
    order = (0, 1, 2, 5, 4, 3) if predictor_layout else range(len(NODE_EDGES))
    for edge in order:
        source, target = NODE_EDGES[edge]
        value = apply(operations[edge], values[source], widens and source == 0)
        before = values[target]
        values[target] = value if before is None else sketch.node("add", before, value)
    return sketch.template(values[-1])

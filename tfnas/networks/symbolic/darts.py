"""Networks of DARTS and NAS-Bench-301 cells as computation graphs."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.darts import CIFAR10, NASBENCH301, DartsSkeleton, cell_pair
from tfnas.networks.symbolic.templates import ONE, Assembly, Sketch, Template, Value, classifier_head
from tfnas.spaces import NONE, Architecture, Darts
from tfnas.spaces.darts import INPUTS, NUM_BLOCKS

PREDICTOR_SKELETON = DartsSkeleton(channels=48, layers=20, auxiliary=False)

Genotype = tuple[tuple[str, ...], tuple[int, ...]]


def darts(
    architecture: Architecture, skeleton: DartsSkeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of a DARTS cell without its auxiliary classifier, by default for CIFAR-10; see `_network`."""
    default = PREDICTOR_SKELETON if predictor_layout else CIFAR10
    return _network(architecture, skeleton or default, image_size, predictor_layout)


def nasbench301(
    architecture: Architecture, skeleton: DartsSkeleton | None, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of a pair of DARTS cells without its auxiliary classifier, by default NAS-Bench-301's."""
    default = PREDICTOR_SKELETON if predictor_layout else NASBENCH301
    return _network(architecture, skeleton or default, image_size, predictor_layout)


def _network(
    architecture: Architecture, skeleton: DartsSkeleton, image_size: int, predictor_layout: bool
) -> ComputationGraph:
    """The network of a DARTS cell, or of a NAS-Bench-301 pair of cells, without its auxiliary classifier.

    The predictor's layout has two stem convolutions in a row, whose norm follows the ReLU, activates separable
    convolutions once, has `space_to_batch` and `batch_to_space` around dilated convolutions only, pools and halves by
    strides, and ends in a 1 x 1 convolution. Its authors release no graph of it: it is read from their code.

    Raises:
      InvalidArchitectureError: neither a cell nor a pair, or `none` in the predictor's layout.

    References:
      Liu et al. 2019, section 3.2 and appendix A. Siems et al. 2020, section 3. The predictor's layout: Han et al.
      2023, as GENNAPE's code builds it.
    """
    genotypes = []
    for cell in cell_pair(architecture):
        operations, states = Darts().to_genotype(cell)
        genotypes.append((tuple(operations), tuple(states)))
        if predictor_layout and NONE in operations:
            raise InvalidArchitectureError(f"the predictor's layout has no {NONE!r}")
    assembly = Assembly()
    size, channels = image_size, skeleton.channels
    if skeleton.large_images:
        values = {"size": size, "channels": 3, "half_width": channels // 2, "width": channels}
        values |= {f"size_{k}": -(-size // 2**k) for k in (1, 2, 3)}
        inputs = assembly.stamp(_imagenet_stem(), (), values)
        sizes, width = (values["size_2"], values["size_3"]), channels
    else:
        sizes, width = (size, size), 3 * channels
        inputs = assembly.stamp(stem(predictor_layout), (), {"size": size, "channels": 3, "width": width})

    def cell_template(reduces: bool, input_halves: bool) -> tuple[Template, int]:
        return _cell(*genotypes[reduces], reduces, input_halves, predictor_layout), NUM_BLOCKS

    stack = Stack(skeleton.layers, skeleton.reductions, channels, cell_template)
    node, values = stack.stamp(assembly, inputs, sizes, width)
    head = _predictor_head() if predictor_layout else classifier_head()
    assembly.stamp(head, (node,), {**values, "classes": skeleton.num_classes})
    return assembly.graph()


@dataclasses.dataclass(frozen=True)
class Stack:
    """Cells that each read the two cells before.

    Attributes:
      layers: number of cells.
      reductions: positions of the cells that double the width and halve the size.
      channels: width of the operations of the first cell.
      cell: function from whether a cell reduces, and whether the older input is halved, to the cell's template and the
        number of states that the cell concatenates.
    """

    layers: int
    reductions: Sequence[int]
    channels: int
    cell: Callable[[bool, bool], tuple[Template, int]]

    def stamp(
        self, assembly: Assembly, inputs: tuple[int, ...], sizes: tuple[int, int], width: int
    ) -> tuple[int, dict[str, int]]:
        """Adds the cells to a network.

        Args:
          assembly: network that ends with the stem.
          inputs: the two nodes that the first cell reads.
          sizes: sizes of the two nodes' values in pixels.
          width: channels of the two nodes' values.

        Returns:
          The last node, and the size and the channels of its value by these names.
        """
        before, now = inputs
        size_before, size = sizes
        channels, channels_before, channels_now = self.channels, width, width
        for layer in range(self.layers):
            reduces = layer in self.reductions
            channels *= 2 if reduces else 1
            after = -(-size // 2) if reduces else size
            template, states = self.cell(reduces, size_before != size)
            values = {"size_before": size_before, "size_before_cut": size_before - 1, "size": size}
            values |= {"size_cut": size - 1, "after": after, "before": channels_before, "now": channels_now}
            values |= {"width": channels, "half_width": channels // 2, "outputs": states * channels}
            (node,) = assembly.stamp(template, (before, now), values)
            before, now = now, node
            size_before, size = size, after
            channels_before, channels_now = channels_now, states * channels
        return now, {"size": size, "channels": channels_now}


@functools.cache
def stem(predictor_layout: bool) -> Template:
    """The first convolution for small images, and both inputs of the first cell."""
    sketch = Sketch()
    first = sketch.conv(sketch.image(), "width", 3)
    if not predictor_layout:
        first = second = sketch.norm(first)
    else:
        first = sketch.chain(first, "relu", "batch_norm")
        second = sketch.chain(sketch.conv(first, "width", 3), "relu", "batch_norm")
    return sketch.template(first, second)


@functools.cache
def _imagenet_stem() -> Template:
    sketch = Sketch()
    value = sketch.norm(sketch.conv(sketch.image(), "half_width", 3, "size_1"))
    first = sketch.norm(sketch.conv(sketch.node("relu", value), "width", 3, "size_2"))
    second = sketch.norm(sketch.conv(sketch.node("relu", first), "width", 3, "size_3"))
    return sketch.template(first, second)


@functools.cache
def _predictor_head() -> Template:
    sketch = Sketch()
    value = sketch.node("mean", sketch.port("size", "channels"), size=ONE)
    return sketch.template(sketch.node("output", sketch.conv(value, "classes", 1)))


@functools.lru_cache(1024)
def _cell(
    operations: tuple[str, ...], states: tuple[int, ...], reduces: bool, input_halves: bool, predictor_layout: bool
) -> Template:
    sketch = Sketch()
    before, now = sketch.port("size_before", "before"), sketch.port("size", "now")
    cell = _PredictorParts(sketch) if predictor_layout else CellParts(sketch)
    values = [
        cell.halve(before, "size", "size_before_cut") if input_halves else cell.project(before),
        cell.project(now),
    ]
    for block in range(NUM_BLOCKS):
        pair = []
        for slot in (2 * block, 2 * block + 1):
            strided = reduces and states[slot] < len(INPUTS)
            pair.append(cell.operation(operations[slot], values[states[slot]], "after" if strided else None))
        values.append(sketch.node("add", *pair))
    return sketch.template(sketch.node("concat", *values[len(INPUTS) :], channels="outputs"))


class CellParts:
    """Operations as `DartsNetwork` has them; strides after pools and depthwise convolutions are cuts."""

    def __init__(self, sketch: Sketch):
        self.sketch = sketch

    def project(self, value: Value) -> Value:
        """An input of a cell with the cell's width."""
        return self.sketch.norm(self.sketch.conv(self.sketch.node("relu", value), "width", 1))

    def halve(self, value: Value, size: str, cut: str) -> Value:
        """An input of a cell with the cell's width and half its size."""
        sketch = self.sketch
        value = sketch.node("relu", value)
        shifted = sketch.node("pad", value.resized(cut), size=value.size)
        halves = [sketch.conv(half, "half_width", 1, size) for half in (value, shifted)]
        return sketch.norm(sketch.node("concat", *halves, channels="width"))

    def operation(self, name: str, value: Value, after: str | None) -> Value:
        """An operation of the search space; `after` is its size if it halves."""
        sketch = self.sketch
        if name == NONE:
            return sketch.node("zero", value.resized(after or value.size))
        if name == "skip_connect":
            return self.halve(value, after, "size_cut") if after else value
        if name in ("max_pool_3x3", "avg_pool_3x3"):
            return self._strided(sketch.pool(name.removesuffix("_3x3"), value, 3), after)
        kernel = int(name[-1])
        return self.separable(value, kernel, after) if name.startswith("sep") else self.dilated(value, kernel, after)

    def separable(self, value: Value, kernel: int, after: str | None) -> Value:
        sketch = self.sketch
        for strides in (after, None):
            value = self._strided(sketch.depthwise(sketch.node("relu", value), kernel), strides)
            value = sketch.norm(sketch.conv(value, "width", 1))
        return value

    def dilated(self, value: Value, kernel: int, after: str | None) -> Value:
        sketch = self.sketch
        value = self._strided(sketch.depthwise(sketch.node("relu", value), kernel), after)
        return sketch.norm(sketch.conv(value, "width", 1))

    def _strided(self, value: Value, after: str | None) -> Value:
        return value.resized(after) if after else value


class _PredictorParts(CellParts):
    def halve(self, value: Value, size: str, cut: str) -> Value:
        sketch = self.sketch
        value = sketch.node("relu", value)
        halves = [sketch.conv(value, "half_width", 1, size) for _ in range(2)]
        return sketch.norm(sketch.node("concat", *halves, channels="width"))

    def operation(self, name: str, value: Value, after: str | None) -> Value:
        if name == "skip_connect" and not after:
            return self.sketch.node("identity", value)
        if name in ("max_pool_3x3", "avg_pool_3x3"):
            return self.sketch.pool(name.removesuffix("_3x3"), value, 3, after)
        return super().operation(name, value, after)

    def separable(self, value: Value, kernel: int, after: str | None) -> Value:
        sketch = self.sketch
        value = sketch.node("relu", value)
        for strides in (after, None):
            value = sketch.norm(sketch.conv(sketch.depthwise(value, kernel, strides), "width", 1))
        return value

    def dilated(self, value: Value, kernel: int, after: str | None) -> Value:
        sketch = self.sketch
        value = sketch.node("space_to_batch", sketch.node("relu", value))
        value = sketch.node("batch_to_space", sketch.depthwise(value, kernel, after))
        return sketch.norm(sketch.conv(value, "width", 1))

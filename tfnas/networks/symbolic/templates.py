"""Computation graphs out of repeated parts, fast: a part is written down once and stamped in many sizes.

Networks of a search space repeat few cells with other sizes and channels. A `Template` holds a part with names in
place of numbers; an `Assembly` stamps templates one after the other and joins them.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import BATCH_NORM, CODES, CONV, DEPTHWISE_CONV, INPUT, MATMUL, OUTPUT


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor in a template: the node that makes it (below 0: a port), the names of its size and of its channels."""

    node: int
    size: str
    channels: str

    def resized(self, size: str) -> "Value":
        """The same tensor cut to another size, which takes no operator."""
        return dataclasses.replace(self, size=size)

    def sliced(self, channels: str) -> "Value":
        """Some channels of the same tensor, which takes no operator."""
        return dataclasses.replace(self, channels=channels)


ONE = "one"
"""Name of the number 1, which every stamp knows."""


@dataclasses.dataclass(frozen=True)
class Template:
    """A part of a network.

    Attributes:
      names: K names of numbers.
      operators: int64 `[n]`.
      dims: int64 `[n, 4]`, indices into `names`: size in and out, channels in and out.
      kernels: int64 `[n, 2]`.
      bias: int64 `[n]`.
      edges: int64 `[e, 2]`; source `-1 - k` is port k.
      outputs: nodes, or ports, that make the values which later parts read.
    """

    names: tuple[str, ...]
    operators: np.ndarray
    dims: np.ndarray
    kernels: np.ndarray
    bias: np.ndarray
    edges: np.ndarray
    outputs: tuple[int, ...]


class Sketch:
    """Writes down a template, operator by operator."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._ports = 0
        self._operators: list[int] = []
        self._dims: list[list[int]] = []
        self._kernels: list[tuple[int, int]] = []
        self._bias: list[int] = []
        self._edges: dict[tuple[int, int], None] = {}

    def port(self, size: str, channels: str) -> Value:
        """A value that comes from another part."""
        self._ports += 1
        return Value(-self._ports, size, channels)

    def image(self) -> Value:
        """The node that stands for images of `size` pixels square with `channels` channels."""
        self._record(CODES[INPUT], (("size", "size", "channels", "channels")), (0, 0), False)
        return Value(0, "size", "channels")

    def node(
        self,
        operator: str,
        *inputs: Value,
        size: str | None = None,
        channels: str | None = None,
        kernel: tuple[int, int] = (0, 0),
        bias: bool = False,
    ) -> Value:
        """An operator of some inputs; size and channels are those of the first input unless given."""
        node, first = len(self._operators), inputs[0]
        size, channels = size or first.size, channels or first.channels
        self._record(CODES[operator], (first.size, size, first.channels, channels), kernel, bias)
        self._edges.update(dict.fromkeys((value.node, node) for value in inputs))
        return Value(node, size, channels)

    def _record(self, code: int, dims: tuple[str, ...], kernel: tuple[int, int], bias: bool) -> None:
        names = self._names
        self._operators.append(code)
        self._dims.append([names.setdefault(name, len(names)) for name in dims])
        self._kernels.append(kernel)
        self._bias.append(int(bias))

    def conv(self, value: Value, channels: str, kernel: int, size: str | None = None, *, bias: bool = False) -> Value:
        """A convolution with a square kernel."""
        return self.node(CONV, value, channels=channels, kernel=(kernel, kernel), size=size, bias=bias)

    def depthwise(self, value: Value, kernel: int, size: str | None = None) -> Value:
        """A depthwise convolution with a square kernel."""
        return self.node(DEPTHWISE_CONV, value, kernel=(kernel, kernel), size=size)

    def norm(self, value: Value) -> Value:
        """Batch normalisation."""
        return self.node(BATCH_NORM, value)

    def pool(self, kind: str, value: Value, kernel: int, size: str | None = None) -> Value:
        """`max_pool` or `avg_pool` over a square window."""
        return self.node(kind, value, kernel=(kernel, kernel), size=size)

    def chain(self, value: Value, *steps: str) -> Value:
        """Operators without settings, one after the other."""
        for step in steps:
            value = self.node(step, value)
        return value

    def template(self, *outputs: Value) -> Template:
        """What was written down."""
        return Template(
            tuple(self._names),
            np.array(self._operators, np.int64),
            np.array(self._dims, np.int64).reshape(-1, 4),
            np.array(self._kernels, np.int64).reshape(-1, 2),
            np.array(self._bias, np.int64),
            np.array(list(self._edges), np.int64).reshape(-1, 2),
            tuple(value.node for value in outputs),
        )


class Assembly:
    """Stamps templates to one computation graph."""

    def __init__(self) -> None:
        self._count = 0
        self._templates: list[Template] = []
        self._dims: list[np.ndarray] = []
        self._edges: list[np.ndarray] = []

    def stamp(self, template: Template, inputs: Sequence[int], values: Mapping[str, int]) -> tuple[int, ...]:
        """Adds a part.

        Args:
          template: the part.
          inputs: nodes behind the ports.
          values: numbers of the template's names.

        Returns:
          The nodes of the template's outputs.
        """
        numbers = np.array([1 if name == ONE else values[name] for name in template.names], np.int64)
        self._templates.append(template)
        self._dims.append(numbers[template.dims])
        offset = self._count
        # Ports are looked up from the back: entry -1 - k of the table of all sources is input k.
        table = np.concatenate([np.arange(offset, offset + len(template.operators)), np.array(inputs[::-1], np.int64)])
        self._edges.append(table[template.edges])
        self._count += len(template.operators)
        return tuple(int(table[node]) for node in template.outputs)

    def graph(self, **facts: object) -> ComputationGraph:
        """The computation graph of everything stamped; `facts` are its name, family, source and label."""
        dims = np.concatenate(self._dims)
        operators, kernels, bias = (
            np.concatenate([getattr(template, field) for template in self._templates])
            for field in ("operators", "kernels", "bias")
        )
        keys = np.sort(np.concatenate(self._edges) @ (self._count, 1))
        edges = np.stack(np.divmod(keys[np.diff(keys, prepend=-1) > 0], self._count), axis=1)
        return ComputationGraph(
            operators=operators,
            shapes=dims[:, [0, 1, 0, 1, 2, 3]],
            kernels=kernels,
            bias=bias,
            parameters=_parameters(operators, dims[:, 2], dims[:, 3], kernels, bias),
            edges=edges,
            **facts,
        )


def _parameters(
    operators: np.ndarray, channels_in: np.ndarray, channels_out: np.ndarray, kernels: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    per_channel = np.zeros(len(CODES), np.int64)
    per_channel[CODES[BATCH_NORM]] = 4
    dense = np.zeros(len(CODES), np.int64)
    dense[[CODES[CONV], CODES[MATMUL]]] = 1
    area = np.where(operators == CODES[MATMUL], 1, kernels[:, 0] * kernels[:, 1])
    weights = dense[operators] * area * channels_in * channels_out
    weights += (operators == CODES[DEPTHWISE_CONV]) * area * channels_out
    return weights + (bias + per_channel[operators]) * channels_out


@functools.cache
def classifier_head(*before: str) -> Template:
    """Global mean, some operators, a matrix product with bias to `classes`, and the output."""
    sketch = Sketch()
    value = sketch.node("mean", sketch.port("size", "channels"), size=ONE)
    value = sketch.chain(value, *before)
    value = sketch.node(MATMUL, value, channels="classes", bias=True)
    return sketch.template(sketch.node(OUTPUT, value))

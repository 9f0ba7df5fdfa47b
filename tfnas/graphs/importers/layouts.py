"""What every axis of a tensor stands for: the batch, positions or channels, followed from tensor to tensor.

An axis is a product of factors, from the outermost to the innermost, and each factor has a role. Reshapes regroup
factors, transposes permute axes, convolutions and matrix products say where channels stand, and all other operators
pass the roles of their input on. A tensor that no input explains has its batch first and its channels last.
"""

import functools
import math
from collections.abc import Iterable, Sequence

from tfnas.graphs.importers.raw import RawNode, Reference, Shape
from tfnas.graphs.operators import DROP, EMBEDDING

BATCH, POSITION, CHANNEL = "batch", "position", "channel"

Axis = tuple[tuple[int | None, str], ...]
"""Extents and roles of an axis's factors."""

Layout = tuple[Axis, ...]

_ADDS_CHANNELS = {"gather", EMBEDDING, "one_hot"}
"""Operators that put channels behind the axes of their indices."""


class Layouts:
    """Layouts of all tensors that the inputs of a network reach.

    Args:
      nodes: nodes in topological order.
      constant: True for every node that no input reaches.
    """

    def __init__(self, nodes: Sequence[RawNode], constant: Sequence[bool]):
        self._nodes, self._constant = nodes, constant
        self._channels = self._preferences([node.channel_axis for node in nodes])
        self._batches = self._preferences([node.batch_axis for node in nodes])
        self._layouts: dict[Reference, Layout] = {}
        for number, node in enumerate(nodes):
            if not constant[number]:
                for output, shape in enumerate(node.shapes):
                    if shape is not None:
                        self._layouts[number, output] = self._layout((number, output), shape)
        sizes = {
            _extent(self._layouts[number, 0], BATCH)
            for number, node in enumerate(nodes)
            if node.is_input and len(node.shapes[0] or ()) > 1
        }
        self._size = sizes.pop() if len(sizes) == 1 else 1

    def dims(self, ref: Reference, axis: int | None = None) -> tuple[int | None, int | None, int | None]:
        """Height, width and channels of a tensor of known rank; None for extents that are not known.

        Args:
          ref: tensor.
          axis: axis of the channels; the layout of the tensor tells by default.
        """
        layout = self._layouts.get(ref) or _conventional(self._shape(ref))
        return _dims(layout, axis)

    def per_input(self, ref: Reference, products: int) -> int:
        """The multiply-adds for one input.

        Args:
          ref: tensor that the products make.
          products: multiply-adds for the whole batch, if the tensor shows the batch.
        """
        if self._size is None or self._size < 2 or ref not in self._layouts:
            return products
        batch = _extent(self._layouts[ref], BATCH)
        return products if batch is None or batch % self._size else products // self._size

    def _shape(self, ref: Reference) -> Shape | None:
        return self._nodes[ref[0]].shapes[ref[1]]

    def _data(self, node: RawNode) -> list[Reference]:
        """The tensors of known shape that a node reads and that an input reaches."""
        return [ref for ref in node.inputs if not self._constant[ref[0]] and self._shape(ref) is not None]

    def _preferences(self, axes: Sequence[int | None]) -> dict[Reference, int]:
        """Axes that nodes name for their first input, followed from the readers of tensors to the tensors."""
        preferred: dict[Reference, int] = {}
        for number in range(len(self._nodes) - 1, -1, -1):
            node = self._nodes[number]
            data = [] if self._constant[number] else self._data(node)
            if not data:
                continue
            axis, shape = axes[number], self._shape(data[0])
            if axis is None:
                data = [ref for ref in data if not _is_reshape(node, self._shape(ref))]
                axis, shape = preferred.get((number, 0)), node.shapes[0]
                order = _permutation(node, len(shape or ()))
                if axis is not None and order is not None:
                    axis = order[axis]
            else:
                data = data[:1]
            for ref in data if axis is not None and shape else ():
                if len(self._shape(ref)) == len(shape):
                    preferred.setdefault(ref, axis % len(shape))
        return preferred

    def _layout(self, ref: Reference, shape: Shape) -> Layout:
        node, preferred = self._nodes[ref[0]], self._channels.get(ref)
        data = [other for other in self._data(node) if other in self._layouts]
        if node.is_input or not data:
            axis = node.channel_axis if preferred is None else preferred
            return _conventional(shape, self._batches.get(ref, 0), -1 if axis is None else axis)
        same = [other for other in data if self._shape(other) == shape]
        same = same or [other for other in data if len(self._shape(other)) == len(shape)] or data
        before, source = self._layouts[same[0]], self._shape(same[0])
        adds = node.operator in _ADDS_CHANNELS and self._constant[node.inputs[0][0]]
        if node.channel_axis is not None or adds:
            return _with_channels(_aligned(before, shape), -1 if adds else node.channel_axis)
        order = _permutation(node, len(before))
        if order is not None and len(shape) == len(order):
            return tuple(_resized(before[axis], extent) for axis, extent in zip(order, shape, strict=True))
        if not _is_reshape(node, source):
            return _aligned(before, shape)
        layout = _regrouped(before, shape)
        if preferred is not None and sum(_has_role(axis, CHANNEL) for axis in layout) != 1:
            return _with_channels(layout, preferred)
        return layout


def _permutation(node: RawNode, rank: int) -> tuple[int, ...] | None:
    """The order in which a transpose has the axes of its input, None for an order that does not fit."""
    order = node.permutation
    return order if order is not None and sorted(order) == list(range(rank)) else None


def _is_reshape(node: RawNode, source: Shape | None) -> bool:
    """Whether a node keeps the numbers of a tensor of some shape and their order, but not its axes."""
    shape = node.shapes[0]
    if node.operator != DROP or node.permutation is not None or None in (source, shape) or source == shape:
        return False
    return _product(source) == _product(shape) is not None


@functools.lru_cache(maxsize=4096)
def _conventional(shape: Shape, batch: int = 0, channel: int = -1) -> Layout:
    """The layout of a tensor that nothing explains."""
    layout = tuple(((extent, BATCH if axis == batch else POSITION),) for axis, extent in enumerate(shape))
    return _with_channels(layout, channel) if len(shape) > 1 else layout


@functools.lru_cache(maxsize=4096)
def _with_channels(layout: Layout, channel: int) -> Layout:
    """A layout whose channels stand on one axis alone."""
    if not -len(layout) <= channel < len(layout):
        return layout  # a scalar, or the statistics beside a norm's result
    axes = [tuple((extent, BATCH if role == BATCH else POSITION) for extent, role in axis) for axis in layout]
    axes[channel] = ((_product([extent for extent, _ in axes[channel]]), CHANNEL),)
    return tuple(axes)


@functools.lru_cache(maxsize=4096)
def _aligned(layout: Layout, shape: Shape) -> Layout:
    """The roles of a tensor's axes for a tensor of a similar shape: axis by axis, or by the order of equal extents."""
    if len(layout) == len(shape):
        return tuple(_resized(axis, extent) for axis, extent in zip(layout, shape, strict=True))
    extents, axes, start = [_product(size for size, _ in axis) for axis in layout], [], 0
    for extent in shape:
        match = next((axis for axis in range(start, len(layout)) if extents[axis] == extent), None)
        axes.append(((extent, POSITION),) if match is None else layout[match])
        start = start if match is None else match + 1
    return tuple(axes)


def _resized(axis: Axis, extent: int | None) -> Axis:
    if _product(size for size, _ in axis) == extent:
        return axis
    roles = {role for _, role in axis}
    return ((extent, roles.pop() if len(roles) == 1 else POSITION),)


@functools.lru_cache(maxsize=4096)
def _regrouped(layout: Layout, shape: Shape) -> Layout:
    """The layout after a reshape; an axis of no whole factors makes the layout the conventional one."""
    if 0 in shape:
        return _conventional(shape)
    factors = [factor for axis in reversed(layout) for factor in reversed(axis)]
    axes: list[Axis] = []
    for extent in shape:
        axis: list[tuple[int | None, str]] = []
        rest = extent
        while factors and (rest > 1 or (not axis and factors[-1][0] == 1)):
            size, role = factors.pop()
            if size and rest % size == 0:
                rest //= size
            elif size and size % rest == 0:
                factors.append((size // rest, role))
                size, rest = rest, 1
            else:
                return _conventional(shape)
            axis.append((size, role))
        axes.append(tuple(axis) or ((extent, POSITION),))
    if axes:
        axes[-1] = (*axes[-1], *reversed(factors))
    return tuple(axes)


@functools.lru_cache(maxsize=4096)
def _dims(layout: Layout, axis: int | None) -> tuple[int | None, int | None, int | None]:
    channel = _channel_axis(layout) if axis is None or not layout else axis % len(layout)
    positions: list[int | None] = []
    channels: int | None = 1
    for number, factors in enumerate(layout):
        extents = [extent for extent, role in factors if role != BATCH]
        if number == channel:
            channels = _product(extents)
        elif len(extents) == len(factors):
            positions.append(_product(extents))
        else:  # rows of a batch that a source made one axis with the batch
            positions.extend(extents)
    height = _product(positions[: max(1, len(positions) - 1)])
    return height, positions[-1] if len(positions) > 1 else 1, channels


def _has_role(axis: Axis, role: str) -> bool:
    """Whether all of an axis, but for extents of 1, has a role."""
    roles = {other for extent, other in axis if extent != 1} or {other for _, other in axis}
    return roles == {role}


def _channel_axis(layout: Layout) -> int | None:
    """The axis of the channels: the last axis of channels alone, the last axis with channels, or the last axis."""
    axes = [axis for axis, factors in enumerate(layout) if not _has_role(factors, BATCH)]
    for candidates in (
        [axis for axis in axes if _has_role(layout[axis], CHANNEL)],
        [axis for axis in axes if any(role == CHANNEL for _, role in layout[axis])],
        axes,
    ):
        if candidates:
            return candidates[-1]
    return None


def _extent(layout: Layout, role: str) -> int | None:
    return _product(extent for axis in layout for extent, other in axis if other == role)


def _product(extents: Iterable[int | None]) -> int | None:
    extents = list(extents)
    return None if None in extents else math.prod(extents)

"""The shapes of an ONNX model's inputs: those of the file, those that a user gives, and those that are assumed."""

import dataclasses
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.extents import assumed_extents, assumption_notes
from tfnas.graphs.importers.onnx_types import tensor_type
from tfnas.graphs.importers.raw import shapes_by_name

_BATCH_NAMES = {"n", "b", "bs", "batch", "batch_size", "batchsize"}
_TERM = re.compile(r"([+-]?)\s*(\w{1,99})")
_UNNAMED = {"", "?", "-1", "none"}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs of a model that stand for data.

    Attributes:
      names: names of the inputs.
      named: extents of the dimensions that the file names, by name.
      notes: a line about the assumed extents, empty if nothing was assumed.
      complete: False if an extent or the rank of an input is still open.
    """

    names: list[str]
    named: dict[str, int]
    notes: tuple[str, ...]
    complete: bool


def fill_inputs(
    graph: Any,
    constants: Collection[str],
    shapes: Mapping[str, Sequence[int]] | Sequence[int] | None,
    dims: Mapping[str, int] | None,
    path: pathlib.Path,
    *,
    assume: bool = True,
) -> Inputs:
    """Fills in the open shapes of the inputs that stand for data.

    An extent is, in this order, that of the file, that of the given shape, that of its name in `dims` or in another
    input's given shape, 1 for a batch, and an assumption (`assumed_extents`). The first axis is a batch, and so is an
    axis with a name such as `batch`. A name that is a sum or a difference of names, such as `past + 1`, is computed if
    they have extents; a name whose extent is assumed has that extent everywhere.

    Args:
      graph: graph of the model, which is changed in place.
      constants: names of the inputs that are initialisers.
      shapes: shapes with the batch first, by name, or the shape of the only input or of the only open input.
      dims: extents of the axes that the file names, by name.
      path: file of the model, for error messages.
      assume: False leaves extents open that are neither given nor a batch.

    Raises:
      InvalidArchitectureError: a shape or an extent that the file contradicts, or a name that the file does not have.
    """
    values = {value.name: value for value in graph.input if value.name not in constants}
    types = {name: kind for name, value in values.items() if (kind := tensor_type(value.type)) is not None}
    single = shapes is not None and not isinstance(shapes, Mapping)
    unknown = [name for name, kind in types.items() if _is_open(kind)]
    shapes = shapes_by_name(unknown if single and len(unknown) == 1 else list(types), shapes, path)
    named = {dim.dim_param for kind in types.values() for dim in kind.shape.dim} - _UNNAMED
    bound = dict(dims or {})
    terms = {term for name in named for _, term in _TERM.findall(name)}
    if wrong := set(bound) - named - terms:
        listed = f"it names {', '.join(sorted(named))}" if named else "it names none"
        raise InvalidArchitectureError(f"{path}: no open dimension {min(wrong)!r}, {listed}")
    for name, shape in shapes.items():
        _give(name, types[name], shape, bound, path)
    assumed = {}
    for name in sorted(types, key=lambda name: _has_sums(types[name])):
        if _assume(types[name], bound, assume):
            assumed[name] = [dim.dim_value for dim in types[name].shape.dim]
    complete = not any(_is_open(kind) for kind in types.values())
    return Inputs(list(values), bound, assumption_notes(assumed), complete)


def _extent(dims: Sequence[Any], axis: int) -> int | None:
    """The extent of an axis, None for an open one; some exporters write an open batch as 0."""
    dim = dims[axis]
    is_batch = axis == 0 and len(dims) > 1
    is_open = not dim.HasField("dim_value") or dim.dim_value < 0 or (is_batch and dim.dim_value == 0)
    return None if is_open else dim.dim_value


def _is_open(kind: Any) -> bool:
    """Whether an axis other than the batch, or the rank, is open."""
    return not kind.HasField("shape") or any(
        _extent(kind.shape.dim, axis) is None for axis in range(1, len(kind.shape.dim))
    )


def _give(name: str, kind: Any, shape: Sequence[int], bound: dict[str, int], path: pathlib.Path) -> None:
    """Writes a given shape into the type of an input, and the names of its axes into `bound`."""
    if not kind.HasField("shape"):
        kind.shape.SetInParent()
        for _ in shape:
            kind.shape.dim.add()
    dims = kind.shape.dim
    if len(shape) != len(dims):
        raise InvalidArchitectureError(f"{path}: input {name!r} has {len(dims)} dimensions, not {len(shape)}")
    for axis, (dim, extent) in enumerate(zip(dims, shape, strict=True)):
        if extent is None:
            continue
        if extent < 0:
            raise InvalidArchitectureError(f"{path}: axis {axis} of input {name!r} cannot have the extent {extent}")
        fixed = _extent(dims, axis)
        fixed = bound.get(dim.dim_param, extent) if fixed is None else fixed
        if extent != fixed:
            label = f" ({dim.dim_param!r})" if dim.dim_param else ""
            raise InvalidArchitectureError(
                f"{path}: axis {axis}{label} of input {name!r} has the extent {fixed}, not {extent}"
            )
        if dim.dim_param not in _UNNAMED:
            bound[dim.dim_param] = extent
        dim.dim_value = extent


def _assume(kind: Any, bound: dict[str, int], assume: bool) -> bool:
    """Fills in the open axes of an input; whether one of them, or the rank, is neither given nor a batch."""
    dims = kind.shape.dim
    extents: list[int | None] = []
    for axis, dim in enumerate(dims):
        is_batch = axis == 0 or dim.dim_param.lower() in _BATCH_NAMES
        extent = _extent(dims, axis)
        extent = _computed(dim.dim_param, bound) if extent is None else extent
        extents.append(1 if extent is None and is_batch else extent)
    unknown = None in extents or not kind.HasField("shape")
    if unknown and assume:
        extents = [*assumed_extents(extents, channels_first=True)]
    for dim, extent in zip(dims, extents, strict=True):
        if extent is not None:
            if dim.dim_param not in _UNNAMED and dim.dim_param.lower() not in _BATCH_NAMES:
                bound.setdefault(dim.dim_param, extent)
            dim.dim_value = extent
    return unknown and assume


def _has_sums(kind: Any) -> bool:
    """Whether the name of an axis has several terms."""
    return any(len(_TERM.findall(dim.dim_param)) > 1 for dim in kind.shape.dim)


def _computed(name: str, bound: Mapping[str, int]) -> int | None:
    """The extent of a named dimension: that of its name, or the sum of the terms that its name lists."""
    if name in bound:
        return bound[name]
    terms = _TERM.findall(name)
    if len(terms) < 2 or "".join(sign + term for sign, term in terms) != name.replace(" ", ""):
        return None
    numbers = [int(term) if term.isdigit() else bound.get(term) for _, term in terms]
    if None in numbers:
        return None
    return max(0, sum(-number if sign == "-" else number for (sign, _), number in zip(terms, numbers, strict=True)))

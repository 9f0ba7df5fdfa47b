"""Shapes of a model's inputs: as the model fixes them, as a user gives them, and as open extents are assumed."""

import os
from collections.abc import Mapping, Sequence

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.raw import Shape, shapes_by_name

InputShapes = Mapping[str, Sequence[int]] | Sequence[int] | None
"""Shapes with the batch first that a user gives for a model's inputs: by name, or a single shape."""

IMAGE_EXTENT, LENGTH_EXTENT, COLOURS = 224, 128, 3
"""Extents that stand for open ones: height and width of an image, any other axis, and the channels of an image."""


def closed_shapes(
    declared: Mapping[str, Shape | None],
    given: InputShapes,
    where: str | os.PathLike[str],
) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """The shapes of all inputs of a model whose images have their channels last; the batch alone may stay open.

    Args:
      declared: shape of every input by name, the batch first, None for an open extent or an open shape.
      given: shapes that the user gives, by name, or the shape of the only input or of the only open input; None for no
        shapes.
      where: model, for error messages.

    Returns:
      Shapes by name, and one line that says what was assumed, if anything was.

    Raises:
      InvalidArchitectureError: a given shape for no input or against an extent that the model fixes, or an input whose
        number of dimensions is neither known nor given.

    Example:
      >>> closed_shapes({"x": (None, None, None, 3)}, None, "net")
      ({'x': (None, 224, 224, 3)}, ('open shapes of inputs were assumed: x [1, 224, 224, 3]',))
      >>> closed_shapes({"ids": (None, None), "mask": (None, None)}, {"ids": (1, 16)}, "net")[0]
      {'ids': (1, 16), 'mask': (None, 128)}
    """
    unknown = [name for name, shape in declared.items() if shape is None or None in shape[1:]]
    single = given is not None and not isinstance(given, Mapping)
    by_name = shapes_by_name(unknown if single and len(unknown) == 1 else list(declared), given, where)
    shapes: dict[str, Shape] = {}
    for name, shape in declared.items():
        if name in by_name:
            shapes[name] = _agreed(name, shape, tuple(by_name[name]), where)
        elif shape is None:
            raise InvalidArchitectureError(f"{where}: the shape of input {name!r} is open; give the input's shape")
        else:
            shapes[name] = (*shape[:1], *assumed_extents((1, *shape[1:]), channels_first=False)[1:])
    return shapes, assumption_notes({name: shapes[name] for name in unknown if name not in by_name})


def assumed_extents(extents: Sequence[int | None], *, channels_first: bool) -> list[int]:
    """The extents of an input in which None stands for an open axis, which is assumed.

    An open axis has 224 positions in an image, 3 if it is that of its channels, and 128 otherwise. An image has four
    axes, and 1, 3 or an open number of channels.

    Args:
      extents: extents, the batch included.
      channels_first: whether the second or the last axis holds the channels of an image where the extents do not tell.

    Example:
      >>> assumed_extents((1, None, None, None), channels_first=True), assumed_extents((1, None), channels_first=True)
      ([1, 3, 224, 224], [1, 128])
    """
    extents = list(extents)
    channels = 1 if channels_first else 3
    is_image = len(extents) == 4 and (extents[1] in (1, 3) or extents[3] in (1, 3) or extents[channels] is None)
    if is_image and extents[1] not in (1, 3) and extents[3] not in (1, 3):
        extents[channels] = COLOURS
    return [(IMAGE_EXTENT if is_image else LENGTH_EXTENT) if extent is None else extent for extent in extents]


def assumption_notes(shapes: Mapping[str, Sequence[int | None]]) -> tuple[str, ...]:
    """One line that says which shapes were assumed, if any were; an open batch stands as 1."""
    listed = [f"{name} {[extent or 1 for extent in shape]}" for name, shape in shapes.items()]
    return (f"open shapes of inputs were assumed: {', '.join(listed)}",) if listed else ()


def _agreed(name: str, declared: Shape | None, given: tuple[int, ...], where: str | os.PathLike[str]) -> Shape:
    """A given shape, if it fits the shape that the model declares."""
    if declared is not None and len(declared) != len(given):
        raise InvalidArchitectureError(f"{where}: input {name!r} has {len(declared)} dimensions, not {len(given)}")
    for axis, (fixed, extent) in enumerate(zip(declared or given, given, strict=True)):
        if fixed not in (None, extent):
            raise InvalidArchitectureError(
                f"{where}: axis {axis} of input {name!r} has the extent {fixed}, not {extent}"
            )
    return given

"""What a library of PyTorch models tells: names, families, and how a model and its inputs are made."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Library(NamedTuple):
    """A row of `LIBRARIES`.

    Attributes:
      families: function that gives the families of the library's models by name.
      build: function from a name to a model and its inputs: a tuple by position, or a mapping by keyword.
    """

    families: Callable[[], dict[str, str]]
    build: Callable[[str], tuple[Any, tuple[Any, ...] | Mapping[str, Any]]]


def module_name(constructor: Callable[..., Any]) -> str:
    """The module that defines a function or class, without its packages."""
    return constructor.__module__.rpartition(".")[2]


def on_meta(construct: Callable[[], Any]) -> Any:
    """A model without memory for its weights; a constructor that reads numbers of tensors runs on the CPU first."""
    import torch

    try:
        with torch.device("meta"):
            return construct()
    except (RuntimeError, NotImplementedError):
        return construct().to("meta")

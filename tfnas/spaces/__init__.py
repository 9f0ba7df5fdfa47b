"""What an architecture is: search spaces over cells. NumPy only."""

from collections.abc import Callable

from tfnas.errors import ConfigurationError
from tfnas.spaces.architecture import ABSENT, Architecture, CellTable
from tfnas.spaces.base import NONE, Seed, Space
from tfnas.spaces.darts import Darts
from tfnas.spaces.finite import FiniteSpace
from tfnas.spaces.mobilenetv3 import MobileNetV3
from tfnas.spaces.nasbench101 import NASBench101
from tfnas.spaces.nasbench201 import NASBench201
from tfnas.spaces.nasbench301 import NASBench301
from tfnas.spaces.nats_size import NATSSize

SPACES: dict[str, Callable[[], Space]] = {
    space.name: space for space in (NASBench101, NASBench201, Darts, NATSSize, NASBench301, MobileNetV3)
}
"""Every search space by name: a function without arguments that gives the space, which is the class of ours."""


def get_space(name: str) -> Space:
    """The space of a name in `SPACES`, as manifests and flags write it.

    Raises:
      ConfigurationError: the name is not in `SPACES`.

    Example:
      >>> get_space("nats_size").size
      32768
    """
    if name not in SPACES:
        raise ConfigurationError(f"unknown space {name!r}, expected one of {', '.join(SPACES)}")
    return SPACES[name]()


__all__ = [
    "ABSENT",
    "NONE",
    "SPACES",
    "Architecture",
    "CellTable",
    "Darts",
    "FiniteSpace",
    "MobileNetV3",
    "NASBench101",
    "NASBench201",
    "NASBench301",
    "NATSSize",
    "Seed",
    "Space",
    "get_space",
]

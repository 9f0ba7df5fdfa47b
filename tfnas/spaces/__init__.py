"""What an architecture is: search spaces over cells. NumPy only."""

from tfnas.errors import ConfigurationError
from tfnas.spaces.base import ABSENT, Architecture, CellTable, Space
from tfnas.spaces.darts import Darts
from tfnas.spaces.finite import FiniteSpace
from tfnas.spaces.mobilenetv3 import MobileNetV3
from tfnas.spaces.nasbench101 import NASBench101
from tfnas.spaces.nasbench201 import NASBench201
from tfnas.spaces.nasbench301 import NASBench301
from tfnas.spaces.nats_size import NATSSize

_SPACES: dict[str, type[Space]] = {
    space.name: space for space in (NASBench101, NASBench201, Darts, NATSSize, NASBench301, MobileNetV3)
}
SPACE_NAMES = tuple(_SPACES)


def get_space(name: str) -> Space:
    """The space of that name.

    Raises:
      ConfigurationError: there is none.
    """
    if name not in _SPACES:
        raise ConfigurationError(f"unknown space {name!r}, expected one of {', '.join(SPACE_NAMES)}")
    return _SPACES[name]()


__all__ = [
    "ABSENT",
    "SPACE_NAMES",
    "Architecture",
    "CellTable",
    "Darts",
    "FiniteSpace",
    "MobileNetV3",
    "NASBench101",
    "NASBench201",
    "NASBench301",
    "NATSSize",
    "Space",
    "get_space",
]

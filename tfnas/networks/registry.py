"""The networks of every search space: a row says how an architecture becomes a Keras model and a computation graph.

TensorFlow starts when a row is used, not when this module is imported, so that flags can list the spaces.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from tfnas.errors import ConfigurationError
from tfnas.spaces import Architecture, Darts, MobileNetV3, NASBench101, NASBench201, NASBench301, NATSSize, Space

BENCHMARK, PREDICTOR = "benchmark", "predictor"
LAYOUTS = (BENCHMARK, PREDICTOR)
"""Layouts of computation graphs: the network of `build`, and the network that Han et al. 2023 take for it."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of `NETWORKS`.

    Attributes:
      build: function from an architecture, an image shape (height, width, channels) and a number of classes to a Keras
        model, of version 2 or 3, from images float32 `[B, height, width, channels]` to logits `[B, classes]`.
      graph: function from an architecture, a skeleton (None for the default), an image size in pixels, and whether the
        layout is the predictor's, to the computation graph; by default the graph is read from the built model.
      supernet: function from an image shape and a number of classes to the `Supernet` of the space; by default networks
        are built one by one.
      image_shape: height, width and channels of the images of a computation graph.
      num_classes: classes of a computation graph that is read from the built model.

    Example:
      >>> sorted(NETWORKS)
      ['darts', 'mobilenetv3', 'nasbench101', 'nasbench201', 'nasbench301', 'nats_size']
    """

    build: Callable[[Architecture, tuple[int, int, int], int], Any]
    graph: Callable[[Architecture, Any, int, bool], Any] | None = None
    supernet: Callable[[tuple[int, int, int], int], Any] | None = None
    image_shape: tuple[int, int, int] = (32, 32, 3)
    num_classes: int = 10


def _call(module: str, name: str, *arguments: Any) -> Any:
    return getattr(importlib.import_module(f"tfnas.networks.{module}"), name)(*arguments)


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module of `tfnas.networks`, which is imported at the first call."""
    return functools.partial(_call, module, name)


NETWORKS: dict[str, Network] = {
    NASBench101.name: Network(
        build=_later("nasbench101", "build"),
        graph=_later("symbolic.nasbench101", "nasbench101"),
    ),
    NASBench201.name: Network(
        build=_later("nasbench201", "build"),
        graph=_later("symbolic.nasbench201", "nasbench201"),
        supernet=_later("nasbench201", "supernet"),
    ),
    NATSSize.name: Network(
        build=_later("nats_size", "build"),
        graph=_later("symbolic.nasbench201", "nats_size"),
        supernet=_later("nats_size", "NATSSizeSupernet"),
    ),
    Darts.name: Network(
        build=_later("darts", "build"),
        graph=_later("symbolic.darts", "darts"),
    ),
    NASBench301.name: Network(
        build=_later("darts", "build_pair"),
        graph=_later("symbolic.darts", "nasbench301"),
    ),
    MobileNetV3.name: Network(
        build=_later("mobilenetv3", "build"),
        graph=_later("symbolic.mobilenetv3", "mobilenetv3"),
        image_shape=(224, 224, 3),
        num_classes=1000,
    ),
}
"""The networks of the spaces, by the name of the space."""


def network_of(space: Space) -> Network:
    """The row of a space.

    Raises:
      ConfigurationError: the space has none.
    """
    if space.name not in NETWORKS:
        raise ConfigurationError(
            f"no network of {space.name}, only of {', '.join(NETWORKS)}; add a row to networks.registry.NETWORKS"
        )
    return NETWORKS[space.name]


def build_network(space: Space, architecture: Architecture, image_shape: Sequence[int], num_classes: int) -> Any:
    """The Keras model of an architecture, with weights.

    Args:
      space: search space of the architecture.
      architecture: architecture of the space.
      image_shape: height, width and channels.
      num_classes: width of the classifier.

    Raises:
      ConfigurationError: the space has no networks.
      InvalidArchitectureError: the architecture is not of the space.
    """
    import tensorflow as tf

    network = network_of(space)
    space.require_valid(architecture)
    model = network.build(architecture, tuple(image_shape), num_classes)
    model(tf.zeros([1, *image_shape]))
    return model

"""Computation graphs straight from architectures, without a network being built where the space has such a function."""

from typing import Any

import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.networks.registry import BENCHMARK, LAYOUTS, PREDICTOR, Network, network_of
from tfnas.spaces import Architecture, Space


def build(
    space: Space,
    architecture: Architecture,
    *,
    layout: str = BENCHMARK,
    skeleton: Any = None,
    image_size: int | None = None,
    network: Network | None = None,
    **facts: Any,
) -> ComputationGraph:
    """The computation graph of an architecture's network.

    Args:
      space: search space of the architecture.
      architecture: architecture of the space.
      layout: `benchmark` for the network of `tfnas.networks`, equal to what the importers read from it; `predictor`
        for the network that Han et al. 2023 take for it, which differs for NAS-Bench-201 and DARTS.
      skeleton: skeleton of the space's network; by default that of the benchmark's paper (for the predictor's layout of
        DARTS cells: 20 cells of width 48).
      image_size: height and width of the images in pixels; by default the row's.
      network: networks of the space; by default the row in `networks.registry.NETWORKS`.
      **facts: name, family, source and label of the graph; the family is the space by default.

    Raises:
      ConfigurationError: an unknown layout, a space without networks, or a skeleton of a space whose graphs are read
        from Keras models.
      InvalidArchitectureError: the architecture is not of the space, or the layout can't hold it.
    """
    if layout not in LAYOUTS:
        raise ConfigurationError(f"layout={layout!r}, expected one of {', '.join(LAYOUTS)}")
    network = network or network_of(space)
    height, width, channels = network.image_shape if image_size is None else (image_size, image_size, 3)
    if network.graph is not None:
        graph = network.graph(architecture, skeleton, height, layout == PREDICTOR)
    elif skeleton is None:
        space.require_valid(architecture)
        model = network.build(architecture, (height, width, channels), network.num_classes)
        graph = from_keras(model, inputs=tf.TensorSpec((None, height, width, channels)), name="", source="")
    else:
        raise ConfigurationError(f"the networks of {space.name} have no skeleton to replace")
    return graph.replace(**{"family": space.name, **facts})

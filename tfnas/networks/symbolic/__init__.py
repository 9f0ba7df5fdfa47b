"""Computation graphs straight from architectures, without a network being built."""

from typing import Any

from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.darts import DartsSkeleton
from tfnas.networks.mobilenetv3 import MobileNetV3Skeleton
from tfnas.networks.nasbench101 import NASBench101Skeleton
from tfnas.networks.nasbench201 import Skeleton
from tfnas.networks.symbolic.darts import PREDICTOR_SKELETON, darts
from tfnas.networks.symbolic.mobilenetv3 import mobilenetv3
from tfnas.networks.symbolic.nasbench101 import nasbench101
from tfnas.networks.symbolic.nasbench201 import nasbench201, nats_size
from tfnas.spaces import Architecture

BENCHMARK, PREDICTOR = "benchmark", "predictor"
LAYOUTS = (BENCHMARK, PREDICTOR)
SPACES = ("nasbench101", "nasbench201", "nats_size", "darts", "nasbench301", "mobilenetv3")
NASBENCH301_SKELETON = DartsSkeleton(channels=32, layers=8)
"""The proxy network that NAS-Bench-301's surrogates are fitted to."""


def build(
    space: str,
    architecture: Architecture,
    *,
    layout: str = BENCHMARK,
    skeleton: Any = None,
    image_size: int | None = None,
    **facts: Any,
) -> ComputationGraph:
    """The computation graph of an architecture's network.

    Args:
      space: one of `SPACES`.
      architecture: of the space.
      layout: `benchmark` for the network of `tfnas.networks`, equal to what the importers read from it; `predictor`
        for the network that Han et al. 2023 take for it, which differs for NAS-Bench-201 and DARTS.
      skeleton: the space's skeleton, by default the one of the benchmark's paper (for the predictor's layout of DARTS
        cells: 20 cells of width 48).
      image_size: height and width of the images, which have three channels; by default 32, for MobileNetV3 224.
      **facts: name, family, source and label of the graph.

    Raises:
      ConfigurationError: an unknown space or layout.
      InvalidArchitectureError: the architecture is not of the space, or the layout can't hold it.
    """
    if space not in SPACES:
        raise ConfigurationError(f"space={space!r}, expected one of {', '.join(SPACES)}")
    if layout not in LAYOUTS:
        raise ConfigurationError(f"layout={layout!r}, expected one of {', '.join(LAYOUTS)}")
    predictor = layout == PREDICTOR
    size = image_size or (224 if space == "mobilenetv3" else 32)
    if space == "nasbench101":
        graph = nasbench101(architecture, skeleton or NASBench101Skeleton(), size)
    elif space == "nasbench201":
        graph = nasbench201(architecture, skeleton or Skeleton(), size, predictor)
    elif space == "nats_size":
        graph = nats_size(architecture, skeleton or Skeleton(), size)
    elif space == "mobilenetv3":
        graph = mobilenetv3(architecture, skeleton or MobileNetV3Skeleton(), size)
    else:
        default = NASBENCH301_SKELETON if space == "nasbench301" else DartsSkeleton()
        graph = darts(architecture, skeleton or (PREDICTOR_SKELETON if predictor else default), size, predictor)
    return graph.replace(**{"family": space, **facts})

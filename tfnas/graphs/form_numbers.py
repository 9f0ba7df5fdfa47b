"""Numbers of the form of any network, which mean the same in every family: sizes, depths, widths, paths and stages.

References:
  Shen et al. 2023, "DeepMAD: Mathematical Architecture Design for Deep Convolutional Neural Network", for logarithms of
  fan-ins, whose sum over the layers of a chain measures how much it can express. Kadlecova et al. 2024, "Surprisingly
  Strong Performance Prediction with Neural Graph Features" (GRAF), section 3, for longest and shortest paths.
"""

import numpy as np

from tfnas.graphs.operators import ACTIVATIONS, CODES, CONV_TRANSPOSE, DEPTHWISE_CONV, RECURRENT, WEIGHTED
from tfnas.graphs.packed import PackedGraphs
from tfnas.graphs.path_numbers import edges_by_depth
from tfnas.graphs.structure import STRUCTURE

KINDS = ("weighted", "spatial", "window", "activation", "fan_in", "width")
"""What paths are measured in: operators with weights, operators with weights and a kernel larger than a pixel, kernels
or pooling windows larger than a pixel, activation functions, and for operators with weights the logarithms of fan-ins
and of output channels."""

STAGES = 4
"""Stages of multiply-adds: at the resolution of the input, at a half, at a quarter, and below."""

FORM_NUMBERS = (
    *(f"total_{kind}" for kind in KINDS),
    *(f"longest_{kind}" for kind in KINDS),
    *(f"shortest_{kind}" for kind in KINDS),
    *(f"mean_{kind}" for kind in KINDS),
    *("log_multiply_adds", "log_parameters", "log_activation_memory", "log_receptive_field"),
    *("narrowest", "widest", "narrowest_trunk", "shortcuts", "share_of_spatial"),
    *("additions", "products", "concatenations", "normalisations"),
    *(f"log_multiply_adds_{stage}" for stage in range(STAGES)),
)
"""Names of the numbers that `form_numbers` returns."""

_COUNTED = {
    "additions": ("add",),
    "products": ("mul",),
    "concatenations": ("concat",),
    "normalisations": ("batch_norm", "layer_norm", "rms_norm", "group_norm", "l2_norm", "lrn"),
}
_POOLS = ("max_pool", "avg_pool")
_CHUNK = 512  # graphs
_TINY = 1e-9


def form_numbers(graphs: PackedGraphs) -> np.ndarray:
    """Numbers of N networks, some thousand networks a second.

    `total_KIND` is the sum over all operators, `longest_KIND` and `shortest_KIND` the most and the least on a path,
    `mean_KIND` the mean over random walks from the first node as in `structure`. The fan-in of a convolution is the
    number of values that a value of its output depends on: channels, for a depthwise convolution 1, times the area of
    the kernel. `log_activation_memory` counts the values that operators with weights return. `log_receptive_field`
    holds, in pixels of the input, the side that a value at the end of a path depends on, the greatest over paths.
    `narrowest` and `widest` are logarithms of output channels of operators with weights. `narrowest_trunk` is the least
    logarithm of output channels of operators that every path passes, between the first and the last operators with
    weights, and `widest` in a network without such operators. `shortcuts` is log((1 + most) / (1 + fewest windows on a
    path)). `share_of_spatial` is the share of operators with weights among the operators with a window larger than a
    pixel, 1 for a network without windows. Logarithms of sizes are of 1 + the number, logarithms of channels and
    fan-ins of the number.

    Args:
      graphs: N graphs.

    Returns:
      float64 `[N, F]`, the order is that of `FORM_NUMBERS`.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> from tfnas.graphs.packed import pack
      >>> form_numbers(pack([smallest_graph()])).shape == (1, len(FORM_NUMBERS))
      True
    """
    rows = np.arange(len(graphs))
    chunks = [_numbers(graphs[rows[start : start + _CHUNK]]) for start in range(0, len(graphs), _CHUNK)]
    return np.concatenate([np.zeros((0, len(FORM_NUMBERS))), *chunks])


def _numbers(graphs: PackedGraphs) -> np.ndarray:
    firsts, codes = graphs.node_offsets[:-1], graphs.codes
    owner = np.repeat(np.arange(len(graphs)), graphs.num_nodes)
    operator = graphs.features[:, 0]
    height_in, height_out, width_in, width_out, inputs, outputs, *kernel = graphs.features[:, 1:9].T.astype(np.float64)
    area, weighted = np.maximum(1, kernel[0] * kernel[1]), _is(operator, WEIGHTED)
    fan_in = np.maximum(1, np.where(operator == CODES[DEPTHWISE_CONV], 1, inputs) * area)
    window = (weighted | _is(operator, _POOLS)) & (area > 1)
    spatial = weighted & (area > 1)
    values = np.stack(
        [
            *(weighted, spatial, window, _is(operator, ACTIVATIONS)),
            *(weighted * np.log(fan_in), weighted * np.log(np.maximum(1, outputs))),
        ],
        axis=1,
    )[codes]

    # Every pixel of a window beyond the first reaches further by the distance of two pixels, in pixels of the input.
    side_in, side_out = np.maximum(1, [np.maximum(height_in, width_in), np.maximum(height_out, width_out)])
    resolution = np.maximum.reduceat(side_in[codes], firsts)
    step = resolution[owner] / side_in[codes]
    reach = np.where(window, np.maximum(*kernel) - 1, 0)[codes] * step

    total = np.add.reduceat(values, firsts)
    longest, shortest, mean, share = _paths(graphs, np.concatenate([values, reach[:, None]], axis=1))
    trunk = (share > 1 - _TINY) & _between(graphs, (weighted | _is(operator, RECURRENT))[codes])
    trunk_channels = np.where(trunk, np.log(np.maximum(1, outputs))[codes], np.nan)
    positions = np.where(operator == CODES[CONV_TRANSPOSE], height_in * width_in, height_out * width_out)
    work = (weighted * fan_in * outputs * positions)[codes]
    memory = (weighted * height_out * width_out * outputs)[codes]
    stage = np.round(np.log2(resolution[owner] / side_out[codes])).clip(0, STAGES - 1)
    channels = np.where(weighted, np.log(np.maximum(1, outputs)), np.nan)[codes]
    windows = total[:, KINDS.index("window")]
    narrowest, widest = (np.nan_to_num(extreme.reduceat(channels, firsts)) for extreme in (np.fmin, np.fmax))
    narrowest_trunk = np.fmin.reduceat(trunk_channels, firsts)
    columns = [
        *(graphs.structure[:, STRUCTURE.index(name)] for name in ("log_multiply_adds", "log_parameters")),
        *(np.log1p(np.add.reduceat(memory, firsts)), np.log1p(longest[:, -1])),
        *(narrowest, widest, np.where(np.isnan(narrowest_trunk), widest, narrowest_trunk)),
        np.log((1 + longest[:, KINDS.index("window")]) / (1 + shortest[:, KINDS.index("window")])),
        np.where(windows > 0, total[:, KINDS.index("spatial")] / np.maximum(1, windows), 1.0),
        *(np.add.reduceat(_is(operator, names)[codes].astype(np.float64), firsts) for names in _COUNTED.values()),
        *(np.log1p(np.add.reduceat(np.where(stage == number, work, 0), firsts)) for number in range(STAGES)),
    ]
    paths = [numbers[:, : len(KINDS)] for numbers in (longest, shortest, mean)]
    return np.concatenate([total, *paths, np.stack(columns, axis=1)], axis=1)


def _is(operator: np.ndarray, names: tuple[str, ...] | frozenset[str]) -> np.ndarray:
    return np.isin(operator, [CODES[name] for name in names])


def _paths(graphs: PackedGraphs, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The greatest, the smallest and the mean sum of values float64 `[nodes, K]` on a path, `[N, K]` each.

    The fourth array, `[nodes]`, holds the share of walks that pass a node.
    """
    sources, targets = _ends(graphs)
    heard, read = (np.bincount(ends, minlength=len(values)) for ends in (targets, sources))
    begins, ends = (heard == 0)[:, None], (read == 0)[:, None]
    longest, shortest = np.where(begins, values, -np.inf), np.where(begins, values, np.inf)
    firsts, share = graphs.node_offsets[:-1], np.zeros(len(values))
    share[firsts] = 1.0
    for edges, groups in edges_by_depth(sources, targets, heard):
        tails, heads = sources[edges], targets[edges[groups]]
        longest[heads] = np.maximum.reduceat(longest[tails], groups) + values[heads]
        shortest[heads] = np.minimum.reduceat(shortest[tails], groups) + values[heads]
        share[heads] += np.add.reduceat(share[tails] / read[tails], groups)
    return (
        np.maximum.reduceat(np.where(ends, longest, -np.inf), firsts),
        np.minimum.reduceat(np.where(ends, shortest, np.inf), firsts),
        np.add.reduceat(share[:, None] * values, firsts),
        share,
    )


def _between(graphs: PackedGraphs, weighted: np.ndarray) -> np.ndarray:
    """Whether a node is or follows an operator with weights, and precedes another; `[nodes]`."""
    sources, targets = _ends(graphs)
    behind, before = weighted.copy(), np.zeros(len(weighted), bool)
    for edges, groups in edges_by_depth(sources, targets, np.bincount(targets, minlength=len(weighted))):
        behind[targets[edges[groups]]] |= np.logical_or.reduceat(behind[sources[edges]], groups)
    for edges, groups in edges_by_depth(targets, sources, np.bincount(sources, minlength=len(weighted))):
        readers = targets[edges]
        before[sources[edges[groups]]] |= np.logical_or.reduceat(before[readers] | weighted[readers], groups)
    return behind & before


def _ends(graphs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets of all edges, as numbers among the nodes of all graphs."""
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    return graphs.edges[:, 0] + starts, graphs.edges[:, 1] + starts

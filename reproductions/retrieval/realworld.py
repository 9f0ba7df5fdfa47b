"""The collection of published models' operator graphs that comes as one file of ragged arrays."""

import numpy as np

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import ATEN, CODES, DROP, INPUT, OUTPUT, SHAPE, UNKNOWN

_SYNTAX = {
    "Add": "add",
    "Sub": "sub",
    "Mult": "mul",
    "Div": "div",
    "FloorDiv": "div",
    "Mod": "mod",
    "Pow": "pow",
    "MatMult": "matmul",
    "USub": "neg",
    "Compare": "compare",
    "BitAnd": "logical",
    "Invert": "logical",
    "Constant": DROP,
    "Attribute": DROP,
    "input": INPUT,
    "output": OUTPUT,
}
_COMPOSED = {
    "scaled_dot_product_attention": "matmul",
    "multi_head_attention_forward": "matmul",
    "_native_multi_head_attention": "matmul",
    "hardswish": "swish",
    "glu": "swish",
    "interpolate": "resize",
    "normalize": "l2_norm",
    "linalg_norm": "l2_norm",
    "addcmul": "add",
    "grid_sample": "grid_sample",
}
"""Operators that importers spell out in parts; here they stay one node, named after what does most of the work."""

_BOOKKEEPING = """
    arange as_tensor bool copy dropout2d empty fill full int item linspace long ones size tensor type zeros Size sym_sum
    _add_batch_dim _remove_batch_dim _vmap_decrement_nesting _vmap_increment_nesting lazy_load_decompositions
    _log_api_usage_once _set_grad_enabled _enter_autocast _exit_autocast FunctionCtx _local_scalar_dense zero numel"""


def operator_of(kind: str) -> str:
    """What the vocabulary calls one of the file's operators, such as `torch.nn.functional.relu`; or DROP or SHAPE."""
    if kind in _SYNTAX:
        return _SYNTAX[kind]
    name = kind.rpartition(".")[2]
    name = name if name.startswith("_") else name.rstrip("_")
    if name in _COMPOSED:
        return _COMPOSED[name]
    if name in _BOOKKEEPING.split():
        return DROP
    known = ATEN.get(name) or ATEN.get(name.strip("_")) or ATEN.get("fft_" + name.removeprefix("fft_"))
    return known or UNKNOWN


def read_realworld(path: artefacts.PathLike) -> list[ComputationGraph]:
    """The graphs of `realworld_graphs.npz`, without their parameters and bookkeeping.

    The file tells operators and edges, nothing of sizes: shapes, kernels, biases and parameters are 0. Its `input`
    nodes are parameters and data alike, so all are left out; what only moves data is bridged. Graphs that lose all
    nodes are not returned.

    Args:
      path: the file: `node_op`, `node_offsets`, `edges`, `edge_offsets`, `op_vocabulary`, `name`, `family`, `source`.

    Raises:
      CorruptArtefactError: an array is missing, or they do not fit together.
    """
    arrays = artefacts.read_npz(path)
    try:
        kinds = [str(kind) for kind in arrays["op_vocabulary"]]
        nodes, edges = arrays["node_op"].astype(np.int64), arrays["edges"].astype(np.int64)
        bounds = [arrays[f"{name}_offsets"].astype(np.int64) for name in ("node", "edge")]
        texts = [arrays[name].astype(str).tolist() for name in ("name", "family", "source")]
    except KeyError as error:
        raise CorruptArtefactError(f"{path}: no array {error}") from error
    count = len(texts[0])
    if any(len(text) != count for text in texts) or any(len(offsets) != count + 1 for offsets in bounds):
        raise CorruptArtefactError(f"{path}: the arrays do not describe the same number of graphs")
    if bounds[0][-1] != len(nodes) or bounds[1][-1] != len(edges) or (len(nodes) and nodes.max() >= len(kinds)):
        raise CorruptArtefactError(f"{path}: nodes or edges do not fit to the offsets or the vocabulary")
    operators = [operator_of(kind) for kind in kinds]
    graphs = []
    for row, (name, family, source) in enumerate(zip(*texts, strict=True)):
        codes = nodes[bounds[0][row] : bounds[0][row + 1]]
        ends = edges[bounds[1][row] : bounds[1][row + 1]]
        if len(ends) and (ends.max() >= len(codes) or (ends[:, 0] >= ends[:, 1]).any()):
            raise CorruptArtefactError(f"{path}: {name}: an edge runs backwards or to a node that is not there")
        graph = _bridged([operators[code] for code in codes], [kinds[code] for code in codes], ends.tolist())
        if graph.num_nodes:
            graphs.append(graph.replace(name=name, family=family, source=source))
    return graphs


def _bridged(operators: list[str], kinds: list[str], edges: list[list[int]]) -> ComputationGraph:
    """The graph of the operators that compute."""
    inputs: list[set[int]] = [set() for _ in operators]
    for source, target in edges:
        inputs[target].add(source)
    positions: dict[int, int] = {}
    behind: list[set[int]] = []
    bridged_edges: list[tuple[int, int]] = []
    for node, operator in enumerate(operators):
        sources = set().union(*(behind[source] for source in inputs[node]))
        if operator in (INPUT, DROP, SHAPE):
            behind.append(sources)
            continue
        positions[node] = len(positions)
        bridged_edges += [(source, positions[node]) for source in sorted(sources)]
        behind.append({positions[node]})
    codes = [CODES.get(operators[node], CODES[UNKNOWN]) for node in positions]
    count = len(codes)
    return ComputationGraph(
        operators=np.array(codes, np.int64),
        shapes=np.zeros((count, 6), np.int64),
        kernels=np.zeros((count, 2), np.int64),
        bias=np.zeros(count, np.int64),
        parameters=np.zeros(count, np.int64),
        edges=np.array(bridged_edges, np.int64).reshape(-1, 2),
        unknown=tuple(kinds[node] for node in positions if CODES.get(operators[node], 0) == CODES[UNKNOWN]),
    )

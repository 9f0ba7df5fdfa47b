"""From a source's own graph to a computation graph of primitive operators.

The rules, in this order:

1. A node that no input of the network reaches is constant: weights, masks, shapes. Constants are no nodes of the graph;
   the numbers of variables and of non-uniform constants count as parameters of the operator that reads them.
2. Bookkeeping is bridged, parents to children: reshapes, transposes, casts, slices, splits, copies, all arithmetic on
   integers and booleans, and elementwise operators that combine data with constants which hold no weights.
3. Operators that a source spells out as several operations are put together (`patterns`): biases, batch, layer and RMS
   norms, GELU, swish, clips.
4. An operator that no path joins to both an input and an output is left out.

References:
  Han et al. 2023, section 3.1, and the simplification of frozen graphs in GENNAPE's released code, whose rules these
  extend to transformers.
"""

import collections
import dataclasses
from collections.abc import Sequence

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.draft import Draft, DraftNode
from tfnas.graphs.importers.layouts import Layouts
from tfnas.graphs.importers.patterns import fuse
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference
from tfnas.graphs.importers.reconcile import reconciliation
from tfnas.graphs.operators import (
    BATCH_NORM,
    CODES,
    CONV,
    DEPTHWISE_CONV,
    DROP,
    EMBEDDING,
    GROUP_NORM,
    INPUT,
    LAYER_NORM,
    OUTPUT,
    RMS_NORM,
    SHAPE,
    UNKNOWN,
    WEIGHTED,
)

_BRIDGED_WITH_CONSTANT = {"add", "sub", "mul", "div", "concat", "select", "compare", "logical", "mod", "gather"}
_HOLDS_WEIGHTS = {*WEIGHTED, BATCH_NORM, LAYER_NORM, GROUP_NORM, RMS_NORM, "prelu", "lstm", "gru", "rnn"}
_HOLDS_VECTORS = {"add", "sub", "mul", "div", "concat"}
"""Operators that shift, scale or prolong data by a number per channel, where a new model has the same everywhere."""
_KEEPS_SHAPE = {
    UNKNOWN,
    "add",
    "sub",
    "mul",
    "div",
    "erf",
    "neg",
    "relu",
    "sigmoid",
    "tanh",
    "gelu",
    "swish",
    "softmax",
}
_MAX_COUNT = 2**62
_INTEGER_RESULTS = {"argmax", "top_k", "non_max_suppression", "sort"}


def simplify(raw: RawGraph, **facts: object) -> ComputationGraph:
    """The computation graph of a source's graph.

    Args:
      raw: graph of the source.
      **facts: name, family, source and label.

    Raises:
      InvalidArchitectureError: no path leads from an input to an output.
    """
    importer = _Importer(_needed(raw))
    draft = importer.draft()
    fuse(draft)
    graph = _finish(draft, facts)
    checked = reconciliation(importer.raw, importer.claimed, graph.total_parameters, importer.repeated)
    return graph.replace(notes=(*raw.notes, *checked))


def _needed(raw: RawGraph) -> RawGraph:
    """The nodes of a graph that its outputs need; the shape of a tensor does not need the tensor."""
    inputs = [[] if node.operator == SHAPE else node.inputs for node in raw.nodes]
    needed = {source for source, _ in raw.outputs}
    for number in range(len(raw.nodes) - 1, -1, -1):
        if number in needed:
            needed.update(source for source, _ in inputs[number])
    rank = {number: position for position, number in enumerate(sorted(needed))}
    nodes = [
        dataclasses.replace(raw.nodes[number], inputs=[(rank[source], out) for source, out in inputs[number]])
        for number in rank
    ]
    return dataclasses.replace(raw, nodes=nodes, outputs=[(rank[source], output) for source, output in raw.outputs])


class _Importer:
    def __init__(self, raw: RawGraph):
        self.raw = raw
        self.claimed: set[int] = set()
        self.repeated = 0
        self.constant = self._constants()
        self.leaves = self._constant_leaves(uniform=False)
        self.uniform = self._constant_leaves(uniform=True)
        self.layouts = Layouts(raw.nodes, self.constant)

    def _constants(self) -> list[bool]:
        constant: list[bool] = []
        for node in self.raw.nodes:
            reached = node.is_input or any(not constant[source] for source, _ in node.inputs)
            constant.append(node.operator == SHAPE or not reached)
        return constant

    def _constant_leaves(self, uniform: bool) -> list[frozenset[int]]:
        """The variables and constants with weights that each constant node is computed from: uniform or all other."""
        leaves: list[frozenset[int]] = []
        for number, node in enumerate(self.raw.nodes):
            held = frozenset({number}) if node.weights and node.uniform == uniform else frozenset()
            if self.constant[number] and node.operator != SHAPE:
                sources = {leaves[source] for source, _ in node.inputs} | {held}
                held = max(sources, key=len) if len(sources - {frozenset()}) < 2 else held.union(*sources)
            leaves.append(held)
        return leaves

    def draft(self) -> Draft:
        draft = Draft()
        resolved: dict[Reference, tuple[int, ...]] = {}
        for number, node in enumerate(self.raw.nodes):
            if self.constant[number]:
                continue
            data = [ref for ref in node.inputs if not self.constant[ref[0]]]
            sources = [resolved[ref] for ref in data]
            leaves = frozenset().union(*(self.leaves[source] for source, _ in node.inputs if self.constant[source]))
            again = leaves and leaves <= self.claimed  # the weights of another operator, all of which counted there
            uniform = 0 if again else self._uniform(node, data, draft, sources)
            if self._is_bridge(node, len(data), bool(leaves or uniform)):
                flat = tuple(dict.fromkeys(source for group in sources for source in group))
                for output in range(len(node.shapes)):
                    same = len(node.inputs) > output and node.kind == "IdentityN"
                    follows = same and not self.constant[node.inputs[output][0]]
                    resolved[number, output] = resolved[node.inputs[output]] if follows else flat
                continue
            added = draft.add(self._node(number, node, data, leaves, uniform), sources)
            self.claimed |= leaves
            self.repeated += uniform
            resolved.update({(number, output): (added,) for output in range(len(node.shapes))})
        for ref in dict.fromkeys(self.raw.outputs):
            sources = resolved.get(ref)
            if sources:
                shape = self._dims(ref)
                draft.add(DraftNode(OUTPUT, shape, shape), [sources])
        return draft

    def _is_bridge(self, node: RawNode, num_data: int, weighted: bool) -> bool:
        if node.is_input or node.operator == UNKNOWN:
            return False
        if node.operator == DROP:
            return True
        if not any(node.floating) and node.operator not in _INTEGER_RESULTS:
            return True
        return node.operator in _BRIDGED_WITH_CONSTANT and num_data == 1 and len(node.inputs) > 1 and not weighted

    def _uniform(
        self, node: RawNode, data: Sequence[Reference], draft: Draft, sources: Sequence[tuple[int, ...]]
    ) -> int:
        """Numbers of the uniform constants that a node reads as weights."""
        constants = [ref for ref in node.inputs if self.constant[ref[0]] and self.uniform[ref[0]]]
        if node.operator in _HOLDS_VECTORS and len(data) == 1 and constants:
            channels = self._dims(data[0])[2]
            raised = any(draft.nodes[source].operator != INPUT for source in sources[0])
            constants = [ref for ref in constants if raised and self._is_vector(ref, channels)]
        elif node.operator not in _HOLDS_WEIGHTS:
            constants = []
        return sum(self.raw.nodes[leaf].weights for ref in constants for leaf in self.uniform[ref[0]])

    def _is_vector(self, ref: Reference, numbers: int) -> bool:
        shape = self.raw.nodes[ref[0]].shapes[ref[1]]
        return numbers > 1 and shape is not None and [extent for extent in shape if extent != 1] == [numbers]

    def _node(
        self, number: int, node: RawNode, data: Sequence[Reference], leaves: frozenset[int], uniform: int
    ) -> DraftNode:
        output = self._dims((number, 0))
        operator = node.operator
        inputs = output if node.is_input else self._dims(data[0], node.channel_axis)
        weighted = bool(leaves or uniform)
        if operator in ("gather", EMBEDDING) and leaves:
            operator = EMBEDDING
        if operator == CONV and weighted and node.group_channels == 1 and inputs[2] > 1:
            operator = DEPTHWISE_CONV
        return DraftNode(
            INPUT if node.is_input else operator,
            inputs,
            output,
            kernel=node.kernel,
            bias=int(node.has_bias),
            parameters=sum(self.raw.nodes[leaf].weights for leaf in leaves - self.claimed) + uniform,
            scales=weighted and len(data) == 1,
            kind=node.kind,
            constant=node.constant,
            products=None if node.products is None else self.layouts.per_input((number, 0), node.products),
            layer=node.name,
        )

    def _dims(self, ref: Reference, axis: int | None = None) -> tuple[int, int, int]:
        """Height, width and channels of a tensor, whose channels stand on an axis, or where its layout says."""
        node = self.raw.nodes[ref[0]]
        while (
            node.shapes[ref[1]] is None and node.operator in _KEEPS_SHAPE
        ):  # no source infers shapes behind unknown operators
            data = [source for source in node.inputs if not self.constant[source[0]]]
            if not data:
                break
            ref = data[0]
            node = self.raw.nodes[ref[0]]
        shape = node.shapes[ref[1]]
        if shape is None:
            raise InvalidArchitectureError(
                f"node {node.name!r} ({node.kind}) has a shape that is not known before it runs; {self.raw.hint}"
            )
        dims = self.layouts.dims(ref, axis)
        data = [source for source in node.inputs if not self.constant[source[0]]]
        if None in dims and data and not any(node.floating):
            return self._dims(data[0])  # words of a text, for example, which only running the operation counts
        if None in dims:
            raise InvalidArchitectureError(
                f"node {node.name!r} ({node.kind}) has the shape {tuple(shape)}; {self.raw.hint}"
            )
        return dims


def _strangers(nodes: Sequence[DraftNode], notes: Sequence[str]) -> list[str]:
    """A note on unknown operators of which no note tells and whose multiply-adds nobody counted."""
    kinds = collections.Counter(
        node.kind
        for node in nodes
        if node.operator == UNKNOWN and node.products is None and not any(repr(node.layer) in note for note in notes)
    )
    listed = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in kinds.items())
    return [f"operators outside the vocabulary, whose multiply-adds are not counted: {listed}"] if kinds else []


def _finish(draft: Draft, facts: dict[str, object]) -> ComputationGraph:
    order = draft.live_order()
    names = [draft.nodes[node].operator for node in order]
    if INPUT not in names or OUTPUT not in names:
        raise InvalidArchitectureError(f"{facts.get('name', '')}: no path leads from an input to an output")
    rank = {node: position for position, node in enumerate(order)}
    edges = sorted({(rank[source], rank[node]) for node in order for source in draft.sources(node)})
    nodes = [draft.nodes[node] for node in order]
    for node in nodes:
        if max(node.parameters, node.products or 0, *node.input, *node.output) > _MAX_COUNT:
            raise InvalidArchitectureError(f"node {node.layer!r} ({node.kind}) counts more than {_MAX_COUNT}")
    graph = ComputationGraph(
        operators=[CODES.get(node.operator, CODES[UNKNOWN]) for node in nodes],
        shapes=[
            (node.input[0], node.output[0], node.input[1], node.output[1], node.input[2], node.output[2])
            for node in nodes
        ],
        kernels=[node.kernel for node in nodes],
        bias=[node.bias for node in nodes],
        parameters=[node.parameters for node in nodes],
        edges=edges,
        unknown=tuple(node.kind for node in nodes if node.operator == UNKNOWN),
        layers=tuple(node.layer for node in nodes),
        **facts,
    )
    graph = graph.replace(notes=(*graph.notes, *_strangers(nodes, graph.notes)))
    counted = [node.products for node in nodes]
    if counted.count(None) == len(counted):
        return graph
    pairs = zip(counted, graph.multiply_adds.tolist(), strict=True)
    return graph.replace(products=[implied if count is None else count for count, implied in pairs])

"""The operators of an ONNX model in the order in which they run, with its branches and loops resolved."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.onnx_expansion import Expander, Expansion
from tfnas.graphs.importers.onnx_models import (
    MAX_NODES,
    Constants,
    attributes_of,
    captured,
    made,
    needed_nodes,
    node_name,
    ordered_nodes,
    subgraphs,
)
from tfnas.graphs.importers.onnx_shapes import Tensors
from tfnas.graphs.importers.onnx_turns import TurnCounter

_MAX_DEPTH = 16


@dataclasses.dataclass
class Region:
    """Operators that run one after the other: a model, or the body of a loop.

    Attributes:
      nodes: nodes in topological order; a loop among them has no graph, and reads what its body reads.
      inputs: names of the tensors of data that the region is given.
      outputs: names of the tensors that the region gives back.
      loops: loops among the nodes, by the name of their first output.
      constants: names of the constants of the region itself.
    """

    nodes: list[Any]
    inputs: list[str]
    outputs: list[str]
    loops: dict[str, "Loop"] = dataclasses.field(default_factory=dict)
    constants: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Loop:
    """The body of a loop, and the number of times that it runs, None if that is not known before."""

    body: Region
    turns: int | None


class Flow:
    """Walks through a model: an `If` is replaced by a branch, a loop keeps its body apart.

    The branch is that which the condition takes, if the condition can be computed; otherwise that with more operators,
    and the first of two that have as many. All names of tensors inside a branch or a body get the node's first output
    in front of them.

    Args:
      tensors: types and values of the model's tensors, which the walk adds to.
      constants: constants of the model, which the walk adds to.
      path: file of the model, for error messages.

    Attributes:
      notes: lines about the branches that are not shown.
    """

    def __init__(self, tensors: Tensors, constants: Constants, path: pathlib.Path):
        self._tensors, self._constants, self._path = tensors, constants, path
        self._depth = 0
        self._counter = TurnCounter(tensors.values)
        self._expander = Expander(tensors, constants)
        self.notes: list[str] = []

    def region(self, graph: Any, inputs: Sequence[str], rename: Callable[[str], str] = str) -> Region:
        """The operators of a graph.

        Args:
          graph: graph of which the types of the inputs are known.
          inputs: names of the inputs that stand for data, after they are renamed.
          rename: function from a name in the graph to that in the model.

        Raises:
          InvalidArchitectureError: a graph that is not as ONNX has it, or branches and loops that are nested more than
            16 deep.
        """
        region = Region([], list(inputs), [rename(value.name) for value in graph.output])
        self._depth += 1
        self._walk(graph, rename, region)
        self._depth -= 1
        return region

    def _walk(self, graph: Any, rename: Callable[[str], str], region: Region) -> None:
        if self._depth > _MAX_DEPTH:
            raise InvalidArchitectureError(f"{self._path}: branches and loops are nested more than {_MAX_DEPTH} deep")
        names = self._constants.add_graph(graph, rename)
        region.constants.extend(names)
        for name in names:
            self._tensors.add_constant(name)
        nodes = [_renamed(node, rename) for node in graph.node]
        nodes = ordered_nodes(nodes, self._tensors, self._path)
        for node in needed_nodes(nodes, [rename(value.name) for value in graph.output]):
            self._step(node, region)

    def _step(self, node: Any, region: Region, opset: int | None = None) -> None:
        """Adds an operator or what stands for it; `opset` is its version where the model has another."""
        kind = node.op_type if node.domain in ("", "ai.onnx") else ""
        if kind == "Constant":
            self._constants.add_node(node)
            self._tensors.add_constant(node.output[0])
            region.constants.append(node.output[0])
        elif kind == "If":
            self._branch(node, region)
        elif kind in ("Loop", "Scan"):
            self._loop(node, region)
        else:
            expansion = self._expander.expand(node) if any(node.output) else None
            if expansion is None:
                self._visit(node, region, opset)
            else:
                self._expand(node, expansion, region)

    def _expand(self, node: Any, expansion: Expansion, region: Region) -> None:
        names = {name for piece in expansion.nodes for name in piece.output} - set(node.output)
        prefix = next(filter(None, node.output))
        region.constants.extend(expansion.constants)
        for piece in expansion.nodes:
            piece = _renamed(piece, lambda name: f"{prefix}/{name}" if name in names else name)
            self._step(piece, region, expansion.opset)

    def _visit(self, node: Any, region: Region, opset: int | None = None) -> None:
        if not node.output[0]:  # the first output stands for the operator, even if nothing reads it
            node = _renamed(node, lambda name: name)
            node.output[0] = f"{node_name(node)}/unread"
        self._constants.mark(node)
        self._tensors.visit(node, opset)
        region.nodes.append(node)
        if len(region.nodes) > MAX_NODES:
            raise InvalidArchitectureError(f"{self._path}: more than {MAX_NODES} operators once they are written out")

    def _branch(self, node: Any, region: Region) -> None:
        import onnx

        branches = {item.name: item.g for item in node.attribute if item.HasField("g")}
        if set(branches) != {"then_branch", "else_branch"} or len(node.input) != 1:
            raise self._malformed(node)
        names = ["then_branch", "else_branch"]
        condition = self._tensors.values.get(node.input[0])
        if condition is not None and condition.size == 1:
            taken = names[0 if condition.all() else 1]
        else:
            counts = {name: _count_nodes(branches[name]) for name in names}
            taken = max(names, key=counts.__getitem__)
            other = names[1 - names.index(taken)]
            self.notes.append(
                f"node {node_name(node)!r} (If) depends on data: its {taken} of {counts[taken]} operators is read, its "
                f"{other} of {counts[other]} operators is not"
            )
        graph = branches[taken]
        if len(graph.output) != len(node.output):
            raise self._malformed(node)
        rename = _prefixed(graph, node)
        self._depth += 1
        self._walk(graph, rename, region)
        self._depth -= 1
        for value, target in zip(graph.output, node.output, strict=True):
            if target:
                identity = onnx.helper.make_node("Identity", [rename(value.name)], [target])
                self._visit(identity, region)

    def _loop(self, node: Any, region: Region) -> None:
        import onnx

        graphs = subgraphs(node)
        scanned = attributes_of(node).get("num_scan_inputs", 0)
        if len(graphs) != 1 or not any(node.output) or (node.op_type == "Scan" and scanned < 1):
            raise self._malformed(node)
        graph, rename = graphs[0], _prefixed(graphs[0], node)
        operands = list(node.input)
        # Until opset 8 the first operand of a scan holds lengths, and all others have a batch.
        batched = node.op_type == "Scan" and len(operands) == len(graph.input) + 1
        operands = operands[1:] if batched else operands
        if len(operands) != len(graph.input) or len(operands) < max(scanned, 2 * (node.op_type == "Loop")):
            raise self._malformed(node)
        turns = None
        axes = attributes_of(node).get("scan_input_axes") or [0] * scanned
        for index, (name, value) in enumerate(zip(operands, graph.input, strict=True)):
            shape = self._tensors.shape(name)
            shape = shape[1:] if batched and shape else shape
            axis = axes[index - len(operands)] if index >= len(operands) - scanned else None
            if node.op_type == "Loop" and index < 2:
                shape = ()
            elif axis is not None and shape and -len(shape) <= axis < len(shape):
                turns = shape[axis]
                shape = shape[:axis] + shape[axis % len(shape) + 1 :]
            self._tensors.copy_type(rename(value.name), name, value.type, shape)
        body = self.region(graph, [rename(value.name) for value in graph.input], rename)
        if node.op_type == "Loop":
            turns = self._count_turns(node, body)
        carried = len(operands) - (2 if node.op_type == "Loop" else scanned)
        results = body.outputs[1:] if node.op_type == "Loop" else body.outputs
        for index, (name, result) in enumerate(zip(node.output, results, strict=False)):
            shape = self._tensors.shape(result)
            if shape is not None:
                shape = (1,) * batched + ((turns or 1,) if index >= carried else ()) + shape
            self._tensors.copy_type(name, result, None, shape)
        outer = sorted(captured(graph))
        body.inputs.extend(name for name in outer if name not in self._constants.sizes)
        reads = list(dict.fromkeys([*filter(None, node.input), *outer]))
        region.nodes.append(onnx.helper.make_node(node.op_type, reads, node.output, name=node.name))
        region.loops[next(filter(None, node.output))] = Loop(body, turns)

    def _count_turns(self, node: Any, body: Region) -> int | None:
        """The turns of a loop that its limit or its condition ends, None if they are not known."""
        limit, *initial = (self._tensors.values.get(name) for name in node.input)
        most = max(0, int(limit.item())) if limit is not None and limit.size == 1 else None
        if not node.input[1] or (node.input[0] and most is None):
            return most
        return self._counter.count(body.nodes, body.inputs, body.outputs, initial, most)

    def _malformed(self, node: Any) -> InvalidArchitectureError:
        words = f"node {node_name(node)!r} is not a {node.op_type} as ONNX has it"
        return InvalidArchitectureError(f"{self._path}: {words}")


def _count_nodes(graph: Any) -> int:
    """Operators of a graph and of the graphs in it, constants apart."""
    return sum(
        (node.op_type != "Constant") + sum(_count_nodes(inner) for inner in subgraphs(node)) for node in graph.node
    )


def _prefixed(graph: Any, node: Any) -> Callable[[str], str]:
    """The function that puts a node's first output in front of the names of a graph in that node."""
    names = made(graph)
    prefix = next(filter(None, node.output), node.op_type)
    return lambda name: f"{prefix}/{name}" if name in names else name


def _renamed(node: Any, rename: Callable[[str], str]) -> Any:
    """A node that reads and makes tensors of other names; the graphs in it are renamed where they read from outside."""
    import onnx

    if rename is str:
        return node
    result = onnx.NodeProto()
    result.CopyFrom(node)
    result.input[:] = [rename(name) for name in node.input]
    result.output[:] = [rename(name) for name in node.output]
    for graph in subgraphs(result):
        _rename_captured(graph, rename)
    return result


def _rename_captured(graph: Any, rename: Callable[[str], str]) -> None:
    hidden = made(graph)

    def visible(name: str) -> str:
        return name if name in hidden else rename(name)

    for value in graph.output:
        value.name = visible(value.name)
    for node in graph.node:
        node.input[:] = [visible(name) for name in node.input]
        for inner in subgraphs(node):
            _rename_captured(inner, visible)

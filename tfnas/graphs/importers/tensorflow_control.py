"""Loops and conditions of TensorFlow, whose bodies a `Flattener` wrote out, as single operators.

A loop with a product of weights and a state is `lstm`, `gru` or `rnn`; a loop without is unknown. The multiply-adds of
a loop are those of its body times its steps. A condition that is constant is the branch that it takes; another
condition is one unknown operator with the parameters of all branches.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf
from tensorflow.python.framework import tensor_util

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference, Shape, topological
from tfnas.graphs.importers.tensorflow_bodies import Body
from tfnas.graphs.importers.tensorflow_functions import Region
from tfnas.graphs.operators import DROP, SHAPE, UNKNOWN

_SOURCES = {"Const", "VarHandleOp", "VariableV2", "Variable"}
_SHAPED_LIKE = {"Shape", "ZerosLike"}
"""Operations of which no number depends on data."""


def collapse(raw: RawGraph, regions: Mapping[str, Region], stacks: Mapping[str, str], graph: tf.Graph) -> RawGraph:
    """A graph in which a single node stands for every loop, and for every condition that data decides.

    Args:
      raw: graph with the bodies of loops and the branches of conditions written out.
      regions: loops and conditions by name, the inner ones behind the outer ones.
      stacks: names of the nodes that make one tensor of all items that a loop wrote, and the loop's.
      graph: TensorFlow's own graph of the same nodes.

    Raises:
      InvalidArchitectureError: the branches of a condition give tensors of different shapes, or a cycle.
    """
    control = _Control(raw.nodes, regions, stacks, graph)
    for region in reversed(regions.values()):
        if region.name in control.number:
            control.fold(region)
    nodes, number = control.finished()
    outputs = [control.moved(ref) for ref in raw.outputs]
    if not all(source in number for source, _ in outputs):
        raise InvalidArchitectureError("the graph has a cycle through a loop or a condition")
    outputs = [(number[source], output) for source, output in outputs]
    return dataclasses.replace(raw, nodes=nodes, outputs=outputs, notes=(*raw.notes, *control.notes))


class _Control:
    def __init__(
        self, nodes: Sequence[RawNode], regions: Mapping[str, Region], stacks: Mapping[str, str], graph: tf.Graph
    ):
        self.nodes = list(nodes)
        self.stacks, self.graph = stacks, graph
        self.number = {node.name: number for number, node in enumerate(nodes)}
        self.notes: list[str] = []
        self._moved: dict[Reference, Reference] = {}
        self.data: list[bool] = []
        self._uniform: list[bool] = []
        self.readers: list[list[int]] = [[] for _ in nodes]
        for number, node in enumerate(nodes):
            self.data.append(node.is_input or any(self.data[source] for source, _ in node.inputs))
            computed = [self._uniform[source] for source, _ in node.inputs]
            holds = node.is_input or (node.weights and not node.uniform)
            self._uniform.append(node.kind in _SHAPED_LIKE or (all(computed) and not holds))
            for source, _ in node.inputs:
                self.readers[source].append(number)
        owners = {prefix: region.name for region in regions.values() for prefix in region.branches}
        self._members: dict[str, set[int]] = {name: set() for name in regions}
        self._parents = {name: _owner(name, owners) for name in regions}
        for number, node in enumerate(nodes):
            owner = _owner(node.name, owners)
            if owner and node.kind not in _SOURCES:
                self._members[owner].add(number)

    def moved(self, ref: Reference) -> Reference:
        """The tensor that stands for a tensor."""
        while ref in self._moved:
            ref = self._moved[ref]
        return ref

    def fold(self, region: Region) -> None:
        """Makes a region one node, or a constant condition the branch that it takes."""
        members, number = self._members[region.name], self.number[region.name]
        around = self._members.get(self._parents[region.name], set())
        merges = [self.number[name] for name in region.merges if name in self.number]
        if region.is_loop:
            for merge in merges:
                self.nodes[merge].operator = DROP
                if self._uniform[self.nodes[merge].inputs[0][0]]:  # a state that starts with zeros
                    self.nodes[merge].operator, self.nodes[merge].inputs = SHAPE, []
            self._loop(region, members, number)
        else:
            branch = self._branch(region, number)
            if branch is not None:
                for merge in merges:
                    self.nodes[merge].operator, self.nodes[merge].inputs = DROP, [self.nodes[merge].inputs[branch]]
                around.update(self._inside(region, branch))
                return
            self._condition(region, members | set(merges), number)
            around.difference_update(merges)
        around.discard(number)

    def finished(self) -> tuple[list[RawNode], dict[int, int]]:
        """The nodes that are left, in topological order, and their numbers by the numbers before."""
        for node in self.nodes:
            node.inputs = [self.moved(ref) for ref in node.inputs]
        sources = [{source for source, _ in node.inputs} for node in self.nodes]
        readers: list[list[int]] = [[] for _ in self.nodes]
        for number, listed in enumerate(sources):
            for source in listed:
                readers[source].append(number)
        order = topological(sources, readers)
        rank = {number: position for position, number in enumerate(order)}
        nodes = [self.nodes[number] for number in order]
        for node in nodes:
            node.inputs = [(rank[source], output) for source, output in node.inputs]
        return nodes, rank

    def _results(self, region: Region, number: int) -> list[Reference]:
        """The results of a region and the items that a loop writes, as the region's node lists them."""
        return self.nodes[number].inputs[: len(region.merges)]

    def _become(
        self,
        region: Region,
        members: set[int],
        number: int,
        inputs: Iterable[Reference],
        summary: tuple[Shape | None, bool],
        **fields: object,
    ) -> int:
        """Adds a node for a region, whose first output is a summary, followed by the tensors that are read outside."""
        node = self.nodes[number]
        outside = {(number, output): ref for output, ref in enumerate(node.inputs) if output != len(region.merges)}
        readers = {reader for member in members for reader in self.readers[member]} - members - {number}
        for reader in sorted(readers):
            outside.update({ref: ref for ref in self.nodes[reader].inputs if ref[0] in members})
        for ref, behind in list(outside.items()):
            if self.moved(behind)[0] not in members:  # handed on unchanged
                self._moved[ref] = outside.pop(ref)
        refs = list(dict.fromkeys(self.moved(ref) for ref in outside.values()))
        read = dict.fromkeys(self.moved(ref) for member in sorted(members) for ref in self.nodes[member].inputs)
        external = [ref for ref in (*inputs, *read) if ref[0] not in members]
        added = self._add(
            RawNode(
                region.name,
                region.op,
                inputs=list(dict.fromkeys(external)),
                shapes=[summary[0], *(self.nodes[source].shapes[output] for source, output in refs)],
                floating=[summary[1], *(self.nodes[source].floating[output] for source, output in refs)],
                **{"operator": UNKNOWN if summary[1] else DROP, **fields},
            )
        )
        numbers = {ref: output for output, ref in enumerate(refs, start=1)}
        self._moved.update({ref: (added, numbers[self.moved(behind)]) for ref, behind in outside.items()})
        if self._parents[region.name]:
            self._members[self._parents[region.name]].add(added)
        return added

    def _add(self, node: RawNode) -> int:
        self.nodes.append(node)
        self.data.append(any(self.data[source] for source, _ in node.inputs))
        self.readers.append([])
        for source, _ in node.inputs:
            self.readers[source].append(len(self.nodes) - 1)
        return len(self.nodes) - 1

    def _branch(self, region: Region, number: int) -> int | None:
        """The number of the branch that a constant condition takes."""
        predicate = self.graph.get_operation_by_name(region.name).inputs[len(region.merges)]
        value = tensor_util.try_evaluate_constant(predicate)
        if value is None or value.size != 1 or value.dtype.kind not in "bif":
            return None
        if region.op.endswith("If"):
            return 0 if value.item() else 1
        last = len(region.branches) - 1
        return int(value.item()) if 0 <= value.item() <= last else last

    def _condition(self, region: Region, members: set[int], number: int) -> None:
        results = [self.nodes[source] for source, _ in self.nodes[number].inputs[: len(region.merges)]]
        if any(node.shapes[0] is None or None in node.shapes[0] for node in results if node.floating[0]):
            raise InvalidArchitectureError(
                f"node {region.name!r} ({region.op}): its branches give tensors of different shapes, and only running "
                "it tells which branch is taken"
            )
        floats = [node for node in results if node.floating[0]]
        products = [self._products(self._inside(region, branch)) for branch in range(len(region.branches))]
        summary = (floats[0].shapes[0], True) if floats else ((), False)
        first = [ref for ref in self._read(members) if self._is_float(ref)]
        self._become(region, members, number, first, summary, products=max(products))
        if floats:
            self.notes.append(
                f"{region.name!r} ({region.op}) takes one of {len(region.branches)} branches as data decides: one "
                "operator with the parameters of all branches, and the multiply-adds of the largest"
            )

    def _inside(self, region: Region, branch: int) -> list[int]:
        prefix = region.branches[branch]
        return [member for member in self._members[region.name] if self.nodes[member].name.startswith(prefix)]

    def _read(self, members: set[int]) -> list[Reference]:
        """The data that a region reads."""
        read = dict.fromkeys(self.moved(ref) for member in sorted(members) for ref in self.nodes[member].inputs)
        return [ref for ref in read if ref[0] not in members and self.data[ref[0]]]

    def _is_float(self, ref: Reference) -> bool:
        return self.nodes[ref[0]].floating[ref[1]]

    def _products(self, members: Iterable[int]) -> int:
        return sum(self.nodes[member].products or 0 for member in members)

    def _loop(self, region: Region, members: set[int], number: int) -> None:
        steps = self._steps(region)
        merges = [self.number[name] for name in region.merges if name in self.number]
        body = Body(self.nodes, self.readers, self.data, members, merges, self._results(region, number))
        sequence, summary = body.sequence(), body.summary(steps)
        first = [] if sequence is None else [self._batch_first(sequence)]
        operator = body.operator()
        products = self._products(members) * (1 if steps is None else steps)
        fields = {"products": products, **({"operator": operator, "channel_axis": -1} if operator else {})}
        first += [ref for ref in self._read(members) if self._is_float(ref)]
        added = self._become(region, members, number, first, summary, **fields)
        if operator and len(summary[0] or ()) > 2:
            self._hand_on(region, added)
        if steps is None:
            self.notes.append(f"{region.name!r} ({region.op}) takes an unknown number of steps; only one is counted")
        elif not operator and summary[1]:
            self.notes.append(f"{region.name!r} ({region.op}) is one unknown operator, a loop of {steps} steps")

    def _batch_first(self, ref: Reference) -> Reference:
        """A tensor whose first axis is time, with the batch first."""
        shape = self.nodes[ref[0]].shapes[ref[1]]
        axes = _swapped(len(shape))
        turned = tuple(shape[axis] for axis in axes)
        name = f"{self.nodes[ref[0]].name}/batch_first"
        return self._add(RawNode(name, "Transpose", DROP, [ref], [turned], [True], permutation=axes)), 0

    def _hand_on(self, region: Region, number: int) -> None:
        """Lets the tensor of all items of a loop read the loop's summary, whose layout is known."""
        summary = self.nodes[number].shapes[0]
        for name, loop in self.stacks.items():
            stack = self.nodes[self.number[name]] if loop == region.name and name in self.number else None
            if stack is not None and stack.shapes[0] and stack.shapes[0][1:] == (summary[0], *summary[2:]):
                stack.inputs, stack.permutation = [(number, 0)], _swapped(len(summary))

    def _steps(self, region: Region) -> int | None:
        """The number of steps that a loop's condition allows, None if only running it tells."""
        condition = self.graph.get_operation_by_name(region.name).inputs[len(region.merges)].op
        limits, stack = [], [condition]
        while stack:
            operation = stack.pop()
            if operation.type in ("LogicalAnd", "Identity"):
                stack.extend(tensor.op for tensor in operation.inputs)
            elif operation.type in ("Less", "LessEqual"):
                limits.append(self._limit(region, operation))
        known = [limit for limit in limits if limit is not None]
        return min(known) if known else None

    def _limit(self, region: Region, less: tf.Operation) -> int | None:
        """The number of steps until a counter reaches its limit."""
        counter, limit = less.inputs
        if counter.op.name not in region.merges:
            return None
        variable = region.merges.index(counter.op.name)
        advanced = _before_identities(self.graph.get_operation_by_name(region.name).inputs[variable]).op
        if advanced.type not in ("AddV2", "Add") or _before_identities(advanced.inputs[0]) is not counter:
            return None
        values = [
            tensor_util.try_evaluate_constant(tensor) for tensor in (counter.op.inputs[0], limit, advanced.inputs[1])
        ]
        if any(value is None or value.size != 1 or value.dtype.kind != "i" for value in values):
            return None
        start, end, step = (int(value.item()) for value in values)
        return max(0, -((start - end - (less.type == "LessEqual")) // step)) if step > 0 else None


def _owner(name: str, owners: Mapping[str, str]) -> str:
    """The innermost region whose body or branch holds a node, "" for none; regions by the prefixes of their names."""
    end = name.rfind("/")
    while end >= 0:
        if name[: end + 1] in owners:
            return owners[name[: end + 1]]
        end = name.rfind("/", 0, end)
    return ""


def _swapped(rank: int) -> tuple[int, ...]:
    return (1, 0, *range(2, rank))


def _before_identities(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor

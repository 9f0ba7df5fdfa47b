"""TensorFlow graphs without calls, loops and branches: the bodies of functions are copied in. Nothing is executed."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import function_def_to_graph

from tfnas.errors import InvalidArchitectureError

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LOOPS = {"While", "StatelessWhile"}
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}
_BOOL, _INTEGER = tf.bool.as_datatype_enum, tf.int32.as_datatype_enum
MAX_NODES = 1_000_000
_CALL_SCOPES = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_MAX_DEPTH = 64


def refused(error: Exception) -> InvalidArchitectureError:
    """The error for a graph that TensorFlow does not accept."""
    return InvalidArchitectureError(f"not a graph that TensorFlow accepts: {str(error).splitlines()[0]}")


@dataclasses.dataclass(frozen=True)
class Region:
    """A loop whose body is written out once, or a condition whose branches are all written out.

    The node of the same name is an `IdentityN` of the results, of the condition, and of the items that a loop writes to
    lists. A `Merge` stands for each variable of a loop and for each result of a condition, so that TensorFlow takes no
    value of theirs for a constant.

    Attributes:
      name: name of the node in the source, with the names of the functions around it.
      op: operation of the node in the source.
      branches: prefixes of the names of the body, or of each branch.
      merges: names of the `Merge` nodes in the order of the results, "" for a tensor that a loop does not change.
    """

    name: str
    op: str
    branches: tuple[str, ...]
    merges: tuple[str, ...]

    @property
    def is_loop(self) -> bool:
        """True for a loop, False for a condition."""
        return self.op in _LOOPS


class Flattener:
    """Copies the bodies of called functions into a single list of nodes, those of loops and conditions included.

    Args:
      graph_def: graph with the library of functions that it calls.
      replaced: nodes that take the place of nodes of the same name.

    Attributes:
      nodes: nodes by name, once they are flattened.
      regions: loops and conditions by name, the inner ones behind the outer ones.
      stacks: names of nodes that make one tensor of all items that a loop wrote to a list, and the loop's.
    """

    def __init__(self, graph_def: tf.compat.v1.GraphDef, replaced: Mapping[str, tf.compat.v1.NodeDef]):
        self._library = {function.signature.name: function for function in graph_def.library.function}
        self._top = [replaced.get(node.name, node) for node in graph_def.node]
        self.nodes: dict[str, tf.compat.v1.NodeDef] = {}
        self.regions: dict[str, Region] = {}
        self.stacks: dict[str, str] = {}
        self._alias: dict[str, str] = {}
        self._budget = MAX_NODES
        self._bodies: dict[str, tuple[tf.compat.v1.GraphDef, dict[str, str]]] = {}
        self._functions = tf.Graph()  # where TensorFlow looks functions up when it converts one
        try:
            with self._functions.as_default():
                library = tf.compat.v1.GraphDef(library=graph_def.library, versions=graph_def.versions)
                tf.graph_util.import_graph_def(library, name="")
        except (ValueError, tf.errors.OpError) as error:
            raise refused(error) from error

    def flatten(self, outputs: Sequence[str]) -> "Flattener":
        """Copies the nodes that some output tensors need.

        Raises:
          InvalidArchitectureError: a function that calls itself or is missing, or too many nodes.
        """
        needed = ancestors({node.name: node for node in self._top}, [name.partition(":")[0] for name in outputs])
        self._copy(needed, "", ())
        for node in self.nodes.values():
            inputs = [self.resolve(name) for name in node.input]
            del node.input[:]
            node.input.extend(inputs)
        for node in list(self.nodes.values()):
            if node.op == "TensorListStack":
                self._stack(node)
            elif node.op == "TensorListGetItem":
                self._item(node)
        return self

    def resolve(self, tensor: str) -> str:
        """The tensor that a name stands for once calls are gone."""
        tensor = tensor.removesuffix(":0")
        passed = []
        while tensor in self._alias:
            passed.append(tensor)
            if len(passed) > len(self._alias):
                raise InvalidArchitectureError(f"the graph has a cycle at {tensor!r}")
            tensor = self._alias[tensor]
        self._alias.update(dict.fromkeys(passed, tensor))
        return tensor

    def _copy(self, nodes: Sequence[tf.compat.v1.NodeDef], prefix: str, stack: tuple[str, ...]) -> None:
        self._budget -= len(nodes)
        if self._budget < 0:
            raise InvalidArchitectureError(f"more than {MAX_NODES} operations once its functions are written out")
        for node in nodes:
            copy = tf.compat.v1.NodeDef()
            copy.CopyFrom(node)
            copy.name = prefix + node.name
            inputs = [prefix + name.removesuffix(":0") for name in node.input if not name.startswith("^")]
            del copy.input[:]
            copy.input.extend(inputs)
            if "_class" in copy.attr:
                del copy.attr["_class"]
            copy.device = ""
            if node.op in _CALLS or node.op in self._library:
                name = node.attr["f"].func.name if node.op in _CALLS else node.op
                results = self._inline(name, copy, copy.input, f"{copy.name}/", stack)
                for number, result in enumerate(results):
                    self._alias[copy.name if number == 0 else f"{copy.name}:{number}"] = result
            elif node.op in _LOOPS:
                self._loop(copy, stack)
            elif node.op in _BRANCHES:
                self._condition(copy, stack)
            else:
                self.nodes[copy.name] = copy

    def _function(self, name: str, caller: tf.compat.v1.NodeDef) -> Any:
        if name not in self._library:
            raise InvalidArchitectureError(f"node {caller.name!r} calls the function {name!r}, which is not there")
        return self._library[name]

    def _inline(
        self, name: str, caller: tf.compat.v1.NodeDef, values: Sequence[str], prefix: str, stack: tuple[str, ...]
    ) -> list[str]:
        """Copies the body of a function, and returns the names of the tensors that the function returns."""
        function = self._function(name, caller)
        if name in stack or len(stack) >= _MAX_DEPTH:
            raise InvalidArchitectureError(f"function {name!r} calls itself, or functions are nested too deeply")
        if name not in self._bodies:
            try:
                with self._functions.as_default():
                    self._bodies[name] = function_def_to_graph.function_def_to_graph_def(function)
            except (ValueError, KeyError, tf.errors.OpError) as error:
                raise refused(error) from error
        body, names = self._bodies[name]
        signature = function.signature
        complete = all(function.ret[argument.name] in names for argument in signature.output_arg)
        if len(signature.input_arg) != len(values) or not complete:
            raise InvalidArchitectureError(f"node {caller.name!r} does not fit the function {name!r} that it calls")
        arguments = {argument.name for argument in signature.input_arg}
        for argument, value in zip(signature.input_arg, values, strict=True):
            self._alias[prefix + argument.name] = value
        inner = {other.name: other for other in body.node if other.name not in arguments}
        results = [names[function.ret[argument.name]].removesuffix(":0") for argument in signature.output_arg]
        sources = [result.partition(":")[0] for result in results]
        self._copy(ancestors(inner, [source for source in sources if source in inner]), prefix, (*stack, name))
        return [prefix + result for result in results]

    def _loop(self, node: tf.compat.v1.NodeDef, stack: tuple[str, ...]) -> None:
        """Copies the body of a loop once, and its condition."""
        function = self._function(node.attr["body"].func.name, node)
        signature = function.signature
        if not len(signature.input_arg) == len(signature.output_arg) == len(node.input):
            raise InvalidArchitectureError(f"node {node.name!r} ({node.op}) does not fit its body")
        passed = {f"{other.name}:output:0": other.input[0] for other in function.node_def if other.op == "Identity"}
        merges, values = [], []
        for number, value in enumerate(node.input):
            argument, result = signature.input_arg[number], function.ret[signature.output_arg[number].name]
            for _ in range(_MAX_DEPTH):
                result = passed.get(result, result)
            merges.append("" if result == argument.name else f"{node.name}/variable_{number}")
            values.append(merges[-1] or value)
            if merges[-1]:
                self._add(merges[-1], "Merge", [value], T=argument.type, N=1)
        self.regions[node.name] = Region(node.name, node.op, (f"{node.name}/body/",), tuple(merges))
        results = self._inline(signature.name, node, values, f"{node.name}/body/", stack)
        results += self._inline(node.attr["cond"].func.name, node, values, f"{node.name}/cond/", stack)
        self._add(node.name, "IdentityN", results, T=[*(argument.type for argument in signature.output_arg), _BOOL])

    def _condition(self, node: tf.compat.v1.NodeDef, stack: tuple[str, ...]) -> None:
        """Copies all branches of a condition."""
        pair = (node.attr["then_branch"].func, node.attr["else_branch"].func)
        functions = node.attr["branches"].list.func if "branches" in node.attr else pair
        branches = tuple(f"{node.name}/branch_{number}/" for number in range(len(functions)))
        types = list(node.attr["Tout"].list.type)
        merges = tuple(f"{node.name}/result_{number}" for number in range(len(types)))
        self.regions[node.name] = Region(node.name, node.op, branches, merges)
        predicate, *values = node.input
        results = [
            self._inline(function.name, node, values, prefix, stack)
            for function, prefix in zip(functions, branches, strict=True)
        ]
        if not results or any(len(tensors) != len(types) for tensors in results):
            raise InvalidArchitectureError(f"node {node.name!r} ({node.op}) does not fit its branches")
        for number, name in enumerate(merges):
            tensors = [branch[number] for branch in results]
            self._add(name, "Merge", tensors, T=types[number], N=len(tensors))
        kind = node.attr["Tcond"].type if "Tcond" in node.attr else _INTEGER
        self._add(node.name, "IdentityN", [*merges, predicate], T=[*types, kind])

    def _add(self, name: str, op: str, inputs: Sequence[str], **attributes: int | list[int]) -> None:
        """Adds a node, whose attributes are a number of inputs and numbers of types."""
        node = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            if isinstance(value, list):
                node.attr[key].list.type.extend(value)
            elif key == "N":
                node.attr[key].i = value
            else:
                node.attr[key].type = value
        self.nodes[name] = node

    def _stack(self, node: tf.compat.v1.NodeDef) -> None:
        """Gives the tensor that a loop makes of a list the shape of its items, as many as the list was made for."""
        name, _, number = self._origin(node.input[0]).partition(":")
        loop = self.nodes.get(name)
        written = self._behind(loop.input[int(number or 0)]) if name in self.regions else None
        if written is None or written.op != "TensorListSetItem" or written.attr["resize_if_index_out_of_bounds"].b:
            return
        variable = self._behind(written.input[0])
        made = self._behind(variable.input[0]) if variable is not None and variable.op == "Merge" else None
        if made is not None and made.op == "TensorListSetItem":  # an item from before the loop
            made = self._behind(made.input[0])
        if made is None or made.op != "TensorListReserve":
            return
        kind = node.attr["element_dtype"].type
        source = f"{name}:{len(loop.input)}"
        loop.input.append(written.input[2])
        loop.attr["T"].list.type.append(kind)
        axis = self._axis(node)
        item, count, shape = (f"{node.name}/{name}" for name in ("item", "count", "shape"))
        self._add(item, "ExpandDims", [source, axis], T=kind, Tdim=_INTEGER)
        self._add(count, "ExpandDims", [made.input[1], axis], T=_INTEGER, Tdim=_INTEGER)
        self._add(f"{shape}/item", "Shape", [source], T=kind, out_type=_INTEGER)
        self._add(shape, "ConcatV2", [count, f"{shape}/item", axis], T=_INTEGER, Tidx=_INTEGER, N=2)
        self._add(node.name, "BroadcastTo", [item, shape], T=kind, Tidx=_INTEGER)
        self.stacks[node.name] = name

    def _item(self, node: tf.compat.v1.NodeDef) -> None:
        """Reads an item from the tensor behind a list, whose shape says more than the list's."""
        made = self._behind(node.input[0])
        if made is not None and made.op == "TensorListFromTensor":
            types = {"Tparams": node.attr["element_dtype"].type, "Tindices": _INTEGER, "Taxis": _INTEGER}
            self._add(node.name, "GatherV2", [made.input[0], node.input[1], self._axis(node)], **types)

    def _axis(self, node: tf.compat.v1.NodeDef) -> str:
        """Adds the number of the first axis, and returns its name."""
        name = f"{node.name}/axis"
        self._add(name, "Const", [], dtype=_INTEGER)
        self.nodes[name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0))
        return name

    def _behind(self, tensor: str) -> tf.compat.v1.NodeDef | None:
        """The node that makes a tensor, before operations that pass it on."""
        return self.nodes.get(self._origin(tensor).partition(":")[0])

    def _origin(self, tensor: str) -> str:
        for _ in range(_MAX_DEPTH):
            node = self.nodes.get(tensor.partition(":")[0])
            if node is None or node.op != "Identity":
                break
            tensor = node.input[0]
        return tensor


def ancestors(nodes: Mapping[str, tf.compat.v1.NodeDef], targets: Sequence[str]) -> list[tf.compat.v1.NodeDef]:
    """The nodes that some nodes need, in the order of the mapping."""
    seen = set()
    stack = []
    for target in targets:
        if target not in nodes:
            raise InvalidArchitectureError(f"no node {target!r} in the graph")
        if target not in seen:
            seen.add(target)
            stack.append(target)
    while stack:
        for name in nodes[stack.pop()].input:
            source = name.partition(":")[0]
            if not name.startswith("^") and source not in seen and source in nodes:
                seen.add(source)
                stack.append(source)
    return [node for name, node in nodes.items() if name in seen]


def called_names(names: Sequence[str], inputs: Mapping[str, str]) -> tuple[str, ...]:
    """Names of operations without the calls of functions around them; those of inputs as the signature has them.

    Args:
      names: names of operations.
      inputs: names in the signature by the names of the operations.

    Example:
      >>> called_names(["serving_x", "StatefulPartitionedCall_1/net/Relu"], {"serving_x": "x"})
      ('x', 'net/Relu')
    """
    return tuple(inputs.get(name) or _CALL_SCOPES.sub("", name) for name in names)

"""TensorFlow graphs without calls: the bodies of functions are copied in. Nothing is executed."""

from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow.python.framework import function_def_to_graph

from tfnas.errors import InvalidArchitectureError

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
MAX_NODES = 1_000_000
_MAX_DEPTH = 64


def refused(error: Exception) -> InvalidArchitectureError:
    """The error for a graph that TensorFlow does not accept."""
    return InvalidArchitectureError(f"not a graph that TensorFlow accepts: {str(error).splitlines()[0]}")


class Flattener:
    """Copies the bodies of called functions into a single list of nodes.

    Args:
      graph_def: graph with the library of functions that it calls.
      replaced: nodes that take the place of nodes of the same name.

    Attributes:
      nodes: nodes by name, once they are flattened.
    """

    def __init__(self, graph_def: tf.compat.v1.GraphDef, replaced: Mapping[str, tf.compat.v1.NodeDef]):
        self._library = {function.signature.name: function for function in graph_def.library.function}
        self._top = [replaced.get(node.name, node) for node in graph_def.node]
        self.nodes: dict[str, tf.compat.v1.NodeDef] = {}
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
                self._call(copy, stack)
            else:
                self.nodes[copy.name] = copy

    def _call(self, node: tf.compat.v1.NodeDef, stack: tuple[str, ...]) -> None:
        name = node.attr["f"].func.name if node.op in _CALLS else node.op
        if name not in self._library:
            raise InvalidArchitectureError(f"node {node.name!r} calls the function {name!r}, which is not there")
        if name in stack or len(stack) >= _MAX_DEPTH:
            raise InvalidArchitectureError(f"function {name!r} calls itself, or functions are nested too deeply")
        function = self._library[name]
        if name not in self._bodies:
            try:
                with self._functions.as_default():
                    self._bodies[name] = function_def_to_graph.function_def_to_graph_def(function)
            except (ValueError, KeyError, tf.errors.OpError) as error:
                raise refused(error) from error
        body, names = self._bodies[name]
        signature = function.signature
        complete = all(function.ret[argument.name] in names for argument in signature.output_arg)
        if len(signature.input_arg) != len(node.input) or not complete:
            raise InvalidArchitectureError(f"node {node.name!r} does not fit the function {name!r} that it calls")
        prefix = node.name + "/"
        arguments = {argument.name for argument in function.signature.input_arg}
        for argument, value in zip(function.signature.input_arg, node.input, strict=True):
            self._alias[prefix + argument.name] = value
        inner = {other.name: other for other in body.node if other.name not in arguments}
        results = []
        for number, argument in enumerate(function.signature.output_arg):
            result = names[function.ret[argument.name]].removesuffix(":0")
            self._alias[node.name if number == 0 else f"{node.name}:{number}"] = prefix + result
            results.append(result.partition(":")[0])
        self._copy(ancestors(inner, [result for result in results if result in inner]), prefix, (*stack, name))


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

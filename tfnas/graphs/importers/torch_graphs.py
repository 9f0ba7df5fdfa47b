"""PyTorch models as computation graphs, through a process in a separate environment; tfnas imports no torch."""

import json
import math
import pathlib
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.products import matrix_product
from tfnas.graphs.importers.raw import RawGraph, RawNode
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.torch_products import products
from tfnas.graphs.operators import ATEN, CONV, CONV_TRANSPOSE, DROP, MATMUL, RELU6, UNKNOWN

_LIST_SECONDS = 600.0
_WORKER = pathlib.Path(__file__).with_name("torch_worker.py")
_CHANNELS_SECOND = {CONV, CONV_TRANSPOSE, "batch_norm", "group_norm", "max_pool", "avg_pool", "resize"}
_SHAPED_LIKE = {"expand_as", "view_as", "reshape_as", "type_as"}
"""Operations that take no more of their second operand than its shape or type."""
_TRANSPOSES = {"permute", "transpose", "swapaxes", "t", "movedim"}
_WITH_NUMBER = {"add", "sub", "mul", "div", "mod", "select", "compare", "logical"}
_CHANNELS_LAST = {MATMUL, "rms_norm", "embedding", "lstm", "gru", "rnn"}


class TorchWorker:
    """A process that exports PyTorch models.

    Args:
      python: interpreter of the environment with torch.
      timeout_seconds: longest time of a request, in seconds; a request that takes longer fails, and the process is
        started again.

    Raises:
      ConfigurationError: no such interpreter.
    """

    def __init__(self, python: str, timeout_seconds: float = 120.0):
        if not pathlib.Path(python).exists():
            raise ConfigurationError(f"{python}: no such interpreter; `make corpus-venv` makes an environment")
        self._python, self._timeout = python, timeout_seconds
        self._process: subprocess.Popen | None = None

    def list_models(self, library: str) -> tuple[str, dict[str, str]]:
        """The version of a library, and the families of its models by name.

        Raises:
          ConfigurationError: the environment lacks the library.
        """
        try:
            answer = self._ask({"list": library}, _LIST_SECONDS)
        except InvalidArchitectureError as error:
            raise ConfigurationError(f"{self._python}: {error}") from error
        return answer["version"], answer["families"]

    def graph(self, library: str, model: str, **facts: object) -> tuple[ComputationGraph, int]:
        """The computation graph of a model, and its number of parameters and floating-point buffers.

        Raises:
          InvalidArchitectureError: the model can't be built, exported or simplified in time.
        """
        answer = self._ask({"library": library, "model": model}, self._timeout)
        raw = from_aten(answer["nodes"], answer["outputs"])
        return simplify(raw, **{"name": model, "source": library, **facts}), answer["parameters"]

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def _ask(self, request: Mapping[str, str], timeout_seconds: float) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [self._python, str(_WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        try:
            self._process.stdin.write((json.dumps(request) + "\n").encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which reading tells
        line, deadline = b"", time.monotonic() + timeout_seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = self._process.stdout.read1(1 << 20) if ready else b""
            if not chunk:
                self.close()
                fault = "the export process ended" if ready else f"no answer within {timeout_seconds:.0f} s"
                raise InvalidArchitectureError(f"{request}: {fault}")
            line += chunk
        answer = json.loads(line)
        if "error" in answer:
            raise InvalidArchitectureError(answer["error"])
        return answer


def from_aten(nodes: Sequence[Mapping[str, Any]], outputs: Sequence[int]) -> RawGraph:
    """The raw graph of an exported model.

    Args:
      nodes: nodes of the export, as `torch_worker` describes them.
      outputs: numbers of the nodes that the model returns.

    Raises:
      InvalidArchitectureError: operands or arguments that do not belong to an operator.
    """
    reader = _Reader()
    for node in nodes:
        try:
            reader.read(node)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            fault = f"node {node['name']!r} is not a {node['kind']!r} as ATen has it"
            raise InvalidArchitectureError(fault) from error
    return RawGraph(reader.raw, [(reader.number[output], 0) for output in outputs])


class _Reader:
    def __init__(self) -> None:
        self.raw: list[RawNode] = []
        self.number: list[int] = []

    def read(self, node: Mapping[str, Any]) -> None:
        kind = node["kind"].rstrip("_") if not node["kind"].startswith("_") else node["kind"]
        inputs = [(self.number[source], 0) for source in node["inputs"]]
        if kind in _SHAPED_LIKE:
            inputs = inputs[:1]
        shapes = [tuple(shape) for shape in node["shapes"]] or [None]
        floating = node["floating"] or [False]
        arguments = node.get("arguments", [])
        fields: dict[str, Any] = {}
        if kind == "input":
            fields = {"is_input": True, "channel_axis": 1 if len(shapes[0]) >= 4 else -1}
            self._add(node, kind, DROP, inputs, shapes, floating, fields)
        elif kind == "weight":
            size = math.prod(shapes[0]) if shapes[0] is not None else 0
            weights = size if floating[0] and size > 1 else 0
            self._add(node, kind, UNKNOWN, inputs, shapes, floating, {"weights": weights})
        elif kind == "scaled_dot_product_attention":
            self._attention(node, inputs, shapes, floating, arguments)
        elif kind == "addcmul" and len(inputs) == 3:
            self._append(f"{node['name']}/product", "mul", "mul", inputs[1:], shapes, floating, {})
            self._add(node, kind, "add", [inputs[0], (len(self.raw) - 1, 0)], shapes, floating, {})
        elif kind in ("hardswish", "glu"):
            operator = RELU6 if kind == "hardswish" else "sigmoid"
            self._append(f"{node['name']}/gate", kind, operator, inputs, shapes, floating, {})
            self._add(node, kind, "mul", [*inputs, (len(self.raw) - 1, 0)], shapes, floating, {})
        elif kind == "mish":
            for operator, sources in (("softplus", inputs), ("tanh", [(len(self.raw), 0)])):
                self._append(f"{node['name']}/{operator}", kind, operator, sources, shapes, floating, {})
            self._add(node, kind, "mul", [*inputs, (len(self.raw) - 1, 0)], shapes, floating, {})
        else:
            operator = ATEN.get(kind, UNKNOWN)
            if operator in _WITH_NUMBER and len(inputs) == 1 and len(arguments) > 1:
                operator = DROP  # the other operand is a plain number
            fields = self._fields(kind, operator, node, arguments)
            operands = [self.raw[source].shapes[output] for source, output in inputs]
            fields["products"] = products(kind, operands, shapes[0], arguments)
            self._add(node, kind, operator, inputs, shapes, floating, fields)

    def _attention(self, node: Any, inputs: list, shapes: list, floating: list, arguments: list) -> None:
        """softmax(q k^T + mask) v."""
        query, key, value = inputs[:3]
        scores = (*self.raw[query[0]].shapes[0][:-1], self.raw[key[0]].shapes[0][-2])
        name, last = node["name"], {"channel_axis": -1}
        first = {**last, "products": matrix_product(scores, self.raw[query[0]].shapes[0])}
        second = {**last, "products": matrix_product(shapes[0], scores)}
        self._append(f"{name}/scores", "matmul", MATMUL, [query, key], [scores], [True], first)
        if len(arguments) > 3 and arguments[3] == "tensor":
            masked = [(len(self.raw) - 1, 0), inputs[3]]
            self._append(f"{name}/mask", "add", "add", masked, [scores], [True], last)
        self._append(f"{name}/softmax", "softmax", "softmax", [(len(self.raw) - 1, 0)], [scores], [True], last)
        self._add(node, "matmul", MATMUL, [(len(self.raw) - 1, 0), value], shapes, floating, second)

    def _fields(self, kind: str, operator: str, node: Mapping[str, Any], arguments: list) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if operator in (CONV, CONV_TRANSPOSE):
            shape = self.raw[self.number[node["inputs"][1]]].shapes[0]
            fields["kernel"] = tuple(shape[-2:]) if len(shape) > 3 else (shape[-1], 1)
            fields["group_channels"] = shape[1]
            fields["has_bias"] = len(arguments) > 2 and arguments[2] == "tensor"
        elif operator == "pow" and len(arguments) > 1 and isinstance(arguments[1], (int, float)):
            fields["constant"] = float(arguments[1])
        elif kind == "linear":
            fields["has_bias"] = len(arguments) > 2 and arguments[2] == "tensor"
        elif kind == "addmm":
            fields["has_bias"] = True
        elif operator in ("max_pool", "avg_pool") and len(arguments) > 1:
            window = arguments[1] if isinstance(arguments[1], list) else [arguments[1]]
            window = window * 2 if len(window) == 1 and "2d" in kind else window
            if all(isinstance(extent, int) for extent in window):
                fields["kernel"] = tuple(window[-2:]) if len(window) > 1 else (window[0], 1)
        elif operator == "clip":
            fields["constant"] = 6.0 if arguments[1:3] in ([0, 6], [0.0, 6.0]) else None
        if operator in _CHANNELS_SECOND or kind.startswith("adaptive") or kind in ("im2col", "col2im"):
            fields["channel_axis"] = 1
        elif operator in _CHANNELS_LAST or (operator == "layer_norm" and len(arguments[1]) == 1):
            fields["channel_axis"] = -1
        elif kind in _TRANSPOSES and node["shapes"]:
            fields["permutation"] = _permutation(kind, arguments[1:], len(node["shapes"][0]))
        return fields

    def _add(
        self, node: Any, kind: str, operator: str, inputs: list, shapes: list, floating: list, fields: dict
    ) -> None:
        self._append(node["name"], kind, operator, inputs, shapes, floating, fields)
        self.number.append(len(self.raw) - 1)

    def _append(
        self, name: str, kind: str, operator: str, inputs: list, shapes: list, floating: list, fields: dict
    ) -> None:
        self.raw.append(RawNode(name, kind, operator, inputs, shapes, floating, **fields))


def _permutation(kind: str, arguments: Sequence[Any], rank: int) -> tuple[int, ...]:
    """The axis of the input behind every axis of a transpose's output."""
    if kind == "permute":
        return tuple(axis % rank for axis in arguments[0])
    order = list(range(rank))
    first, second = (0, rank - 1) if kind == "t" else (axis % rank for axis in arguments[:2])
    if kind == "movedim":
        order.insert(second, order.pop(first))
    else:
        order[first], order[second] = order[second], order[first]
    return tuple(order)

"""Exports PyTorch models as lists of ATen operators, for `torch_graphs`. Never imported by tfnas.

The worker runs in a separate environment with torch and the libraries of models (`make corpus-venv`), reads a JSON
request per line from standard input and answers with a JSON line on standard output:

  {"list": "timm"}                             -> {"version": "1.0.31", "families": {name: family, ...}}
  {"library": "timm", "model": "resnet50"}     -> {"nodes": [...], "outputs": [number, ...], "parameters": number}
  anything that fails                          -> {"error": reason}

Models are built and called on the meta device, which knows shapes alone: no weight takes memory, nothing is computed.
"""

import contextlib
import importlib.metadata
import json
import math
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.schema_check_mode import SchemaCheckMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch_libraries import LIBRARIES

_ENOUGH = 0.99
"""Share of the parameters from which on the first tensor that a model returns is its only output."""
_MOST_BYTES = 8 * 2**30
"""Memory of the process; a model whose constructor needs more is refused."""

# The wheels of torchvision are made for one build of torch; beside another, importing it fails where it describes two
# operators that its own library would have declared. No classifier uses them.
try:
    import torchvision as _torchvision  # noqa: F401
except (ImportError, RuntimeError):
    _DECLARED = torch.library.Library("torchvision", "FRAGMENT")
    for _signature in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        with contextlib.suppress(RuntimeError):
            _DECLARED.define(_signature)


def list_models(library: str) -> dict[str, Any]:
    """The version of a library, and the families of its models by name."""
    return {"version": importlib.metadata.version(library), "families": LIBRARIES[library].families()}


def export(library: str, name: str) -> dict[str, Any]:
    """A model's operators in topological order, the numbers of those that it returns, and its parameters."""
    model, inputs = LIBRARIES[library].build(name)
    model.eval()
    recorder = Recorder((*model.parameters(), *model.buffers()))
    for tensor in tree_leaves(inputs):
        recorder.add("input", tensor, ())
    positional, named = (inputs, {}) if isinstance(inputs, tuple) else ((), dict(inputs))
    with torch.no_grad(), torch.device("meta"), as_exported(), enable_python_dispatcher(), recorder:
        results = model(*positional, **named)
    outputs = [recorder.number(result) for result in tree_leaves(results) if isinstance(result, torch.Tensor)]
    parameters = sum(value.numel() for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())
    if recorder.reached(outputs[0]) > _ENOUGH * parameters:
        outputs = outputs[:1]
    return {"nodes": recorder.nodes, "outputs": outputs, "parameters": parameters}


@contextlib.contextmanager
def as_exported() -> Iterator[None]:
    """Models run as they do in `torch.export`: without fused kernels for inference, and without a look at numbers."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.compiler._is_compiling_flag = torch.compiler._is_exporting_flag = True
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.compiler._is_compiling_flag = torch.compiler._is_exporting_flag = False


class Recorder(SchemaCheckMode):
    """Notes the ATen operators that a model calls on meta tensors: those of `torch.export`, in a quarter of its time.

    Of the modes that may stand before autograd, where a layer is still one operator, `SchemaCheckMode` alone runs
    operators on real tensors. Operators without operands, such as `arange`, do not reach a mode: their tensors are
    constants without weights.

    Args:
      weights: parameters and buffers of the model.

    Attributes:
      nodes: operators as JSON values.
    """

    def __init__(self, weights: Sequence[torch.Tensor]):
        self._weights = {id(weight) for weight in weights}
        TorchDispatchMode.__init__(self, torch._C.DispatchKey.PreDispatch)
        self.nodes: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._tensors: list[Any] = []  # kept, so that no other tensor gets the identity of any of them

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: dict[str, Any] | None = None
    ) -> Any:
        keywords = keywords or {}
        result = function(*arguments, **keywords)
        kind = kind_of(function)
        if isinstance(result, torch.Tensor):
            self.add(kind, result, (arguments, keywords), arguments)
        elif any(isinstance(value, torch.Tensor) for value in tree_leaves(result)):
            number = self.add(kind, result, (arguments, keywords), arguments)
            for value in tree_leaves(result):
                if isinstance(value, torch.Tensor):
                    self.add("getitem", value, (), ["tensor", 0], sources=[number])
        return result

    def number(self, tensor: torch.Tensor) -> int:
        """The number of the operator that made a tensor, or of the weight or constant that the tensor is."""
        known = self._numbers.get(id(tensor))
        if known is not None:
            return known
        return self.add("weight" if id(tensor) in self._weights else "constant", tensor, ())

    def reached(self, output: int) -> int:
        """How many numbers of the weights an output depends on."""
        needed = {output}
        for number in range(output, -1, -1):
            if number in needed:
                needed.update(self.nodes[number]["inputs"])
        weights = (self.nodes[number] for number in needed)
        return sum(math.prod(node["shapes"][0]) for node in weights if node["kind"] == "weight" and node["floating"][0])

    def add(
        self, kind: str, result: Any, operands: Any, arguments: Sequence[Any] = (), sources: Sequence[int] = ()
    ) -> int:
        """Notes an operator and gives its number.

        Args:
          kind: base name of the operator, `input`, `weight` or `constant`.
          result: tensor, or list of tensors, that the operator gives.
          operands: arguments by position and by keyword, whose tensors are the operands.
          arguments: arguments by position.
          sources: numbers of further operands.
        """
        tensors = [value for value in tree_leaves(result) if isinstance(value, torch.Tensor)]
        inputs = [self.number(value) for value in tree_leaves(operands) if isinstance(value, torch.Tensor)]
        number = len(self.nodes)
        self.nodes.append(
            {
                "name": f"{kind}_{number}",
                "kind": kind,
                "inputs": [*sources, *inputs],
                "shapes": [list(map(int, value.shape)) for value in tensors],
                "floating": [value.is_floating_point() or value.is_complex() for value in tensors],
                "arguments": [plain(argument) for argument in arguments],
            }
        )
        for value in tensors:
            self._numbers[id(value)] = number
        self._tensors.append(result)
        return number


def kind_of(target: Callable[..., Any]) -> str:
    """The base name of an operator, `conv2d` for `aten.conv2d.default`."""
    segments = str(target).split(".")
    return segments[1] if len(segments) > 2 else getattr(target, "__name__", segments[-1])


def plain(argument: Any) -> Any:
    """Numbers, lists of numbers and whether a tensor is given."""
    if isinstance(argument, torch.Tensor):
        return "tensor"
    if isinstance(argument, (list, tuple)):
        return [plain(item) for item in argument]
    return argument if isinstance(argument, (bool, int, float, type(None))) else str(argument)


def answer(request: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    if "list" in request:
        return list_models(request["list"])
    return export(request["library"], request["model"])


def main() -> None:
    """Answers line by line until the input ends."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
    # Libraries print what they like; only answers may reach the pipe.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                result = answer(json.loads(line))
            except Exception as error:
                result = {"error": f"{type(error).__name__}: {(str(error).strip() or ' ').splitlines()[0][:300]}"}
        pipe.write(json.dumps(result) + "\n")
        pipe.flush()


if __name__ == "__main__":
    main()

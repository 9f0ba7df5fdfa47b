"""Exports PyTorch models as lists of ATen operators, for `torch_graphs`. Never imported by tfnas.

The worker runs in a separate environment with torch and timm or transformers (`make corpus-venv`), reads a JSON request
per line from standard input and answers with a JSON line on standard output:

  {"list": "timm"}                             -> {"models": [[name, family], ...]}
  {"library": "timm", "model": "resnet50"}     -> {"nodes": [...], "output": number, "parameters": number}
  anything that fails                          -> {"error": reason}

Models are built on the meta device, so that no weight takes memory, and exported by `torch.export`; none is run.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Container
from typing import Any

import torch

TEXT_LENGTH = 64

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


def list_models(library: str) -> list[list[str]]:
    """Names and families of the models of a library."""
    if library == "timm":
        import timm

        return [[name, timm.models.model_entrypoint(name).__module__.rpartition(".")[2]] for name in timm.list_models()]
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return [[name, name] for name in CONFIG_MAPPING_NAMES if name in MODEL_MAPPING_NAMES]


def build(library: str, name: str) -> tuple[torch.nn.Module, dict[str | None, torch.Tensor]]:
    """A model on the meta device and its inputs by name, None for the first positional one."""
    with torch.device("meta"):
        if library == "timm":
            import timm

            model = timm.create_model(name, pretrained=False)
            return model, {None: torch.empty(1, *model.default_cfg["input_size"])}
        from transformers import CONFIG_MAPPING, AutoModel

        config = CONFIG_MAPPING[name]()
        config.use_cache = False
        model = AutoModel.from_config(config)
        if model.main_input_name == "pixel_values":
            vision = getattr(config, "vision_config", config)
            size = getattr(vision, "image_size", 224)
            size = size if isinstance(size, int) else max(size)
            inputs = {"pixel_values": torch.empty(1, getattr(vision, "num_channels", 3), size, size)}
        else:
            inputs = {"input_ids": torch.zeros(1, TEXT_LENGTH, dtype=torch.long)}
            if config.is_encoder_decoder:
                inputs["decoder_input_ids"] = inputs["input_ids"]
        return model, inputs


def export(library: str, name: str) -> dict[str, Any]:
    """A model's operators in topological order, the number of the first that it returns, and its parameters."""
    model, inputs = build(library, name)
    model.eval()
    positional = tuple(value for key, value in inputs.items() if key is None)
    named = {key: value for key, value in inputs.items() if key is not None}
    with torch.no_grad():
        program = torch.export.export(model, positional, named, strict=False)
    signature = program.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    held.update(signature.inputs_to_lifted_tensor_constants)
    numbers, nodes, output = {}, [], None
    for node in program.graph.nodes:
        if node.op == "output":
            results = [
                value for value in torch.utils._pytree.tree_leaves(node.args) if isinstance(value, torch.fx.Node)
            ]
            user = [value for value in results if value.name in signature.user_outputs] or results
            output = numbers[user[0]]
            continue
        numbers[node] = len(nodes)
        nodes.append(describe(node, numbers, held))
    parameters = sum(value.numel() for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())
    return {"nodes": nodes, "output": output, "parameters": parameters}


def describe(node: torch.fx.Node, numbers: dict[torch.fx.Node, int], held: Container[str]) -> dict[str, Any]:
    """One operator as JSON values.

    Args:
      node: node of the exported graph.
      numbers: numbers of the nodes before it.
      held: names of the placeholders that are parameters, buffers or constants.
    """
    leaves = torch.utils._pytree.tree_leaves((node.args, node.kwargs))
    values = node.meta.get("val")
    values = list(values) if isinstance(values, (tuple, list)) else [values]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    described = {
        "name": node.name,
        "kind": node.op if node.op != "call_function" else kind_of(node.target),
        "inputs": [numbers[leaf] for leaf in leaves if isinstance(leaf, torch.fx.Node)],
        "shapes": [list(map(int, value.shape)) for value in tensors],
        "floating": [value.is_floating_point() or value.is_complex() for value in tensors],
    }
    if node.op in ("placeholder", "get_attr"):
        is_held = node.op == "get_attr" or node.name in held
        described["kind"] = "weight" if is_held else "input"
    else:
        described["arguments"] = [plain(argument) for argument in node.args]
    return described


def kind_of(target: Callable[..., Any]) -> str:
    """The base name of an operator, `conv2d` for `aten.conv2d.default`."""
    name = str(target)
    return name.split(".")[1] if name.startswith(("aten.", "prims.")) else getattr(target, "__name__", name)


def plain(argument: Any) -> Any:
    """Numbers, lists of numbers and whether a tensor is given."""
    if isinstance(argument, torch.fx.Node):
        return "tensor"
    if isinstance(argument, (list, tuple)):
        return [plain(item) for item in argument]
    return argument if isinstance(argument, (bool, int, float, type(None))) else str(argument)


def answer(request: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    if "list" in request:
        return {"models": list_models(request["list"])}
    return export(request["library"], request["model"])


def main() -> None:
    """Answers line by line until the input ends."""
    torch.set_num_threads(1)
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

"""Exported programs of PyTorch (`.pt2` files of `torch.export.save`) as computation graphs.

The JSON description of the program is read, without torch: no code runs, and no weight and no pickle is opened.

References:
  torch/_export/serde/schema.py, versions 5 to 8.
"""

import json
import math
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes, assumption_notes, closed_shapes
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.torch_graphs import from_aten
from tfnas.graphs.importers.torch_symbols import evaluate, symbol

_MAX_BYTES = 32 * 2**20
_MAX_EXTENT = 2**31
_MAX_NUMBERS = 2**40
_PROGRAMS = ("models/model.json", "serialized_exported_program.json")
"""Endings of the program's name in the archive, the older releases' last."""
_TIES = "data/weights/model_weights_config.json"
_FLOATING = {6, 7, 8, 9, 10, 11, 13, *range(29, 34)}
"""Numbers of the floating-point and complex types."""
_HELD = {"parameter", "buffer", "tensor_constant"}
_KEYWORD = 2
_NOT_A_PROGRAM = (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration, OverflowError)


def from_torch_program(
    path: artefacts.PathLike, *, input_shapes: InputShapes = None, **facts: object
) -> ComputationGraph:
    """The computation graph of a `.pt2` file.

    Args:
      path: file of `torch.export.save`.
      input_shapes: shapes with the batch first, for inputs whose shapes the program leaves open: by name, or the shape
        of the only input. The extents of the example with which the program was exported stand for open extents that
        nothing gives, with a note.
      **facts: name, family, source and label.

    Raises:
      CorruptArtefactError: not a `.pt2` file, or a damaged file.
      InvalidArchitectureError: a shape that contradicts the program, an operator that is not as ATen has it, or no path
        from an input to an output.
    """
    path = pathlib.Path(path)
    description, ties = _read(path)
    try:
        program = _Program(description["graph_module"], ties, input_shapes, path)
    except TfnasError:
        raise
    except (*_NOT_A_PROGRAM, RecursionError) as error:
        fault = f"{type(error).__name__}: {str(error)[:100]}"
        raise CorruptArtefactError(f"{path}: not a program as torch.export writes it ({fault})") from error
    raw = from_aten(program.nodes, program.outputs)
    raw.notes = (*program.notes, *raw.notes)
    return simplify(raw, **{"name": path.stem, "source": "torch", **facts})


def _read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The description of the program, and by name what each weight views; weights of equal views are one tensor."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            entries = [name for end in _PROGRAMS for name in names if f"/{name}".endswith(f"/{end}")]
            if not entries:
                compiled = any("aotinductor" in name for name in names)
                fault = "a compiled program" if compiled else "no models/model.json in the archive"
                raise CorruptArtefactError(f"{path}: {fault}, expected a file of torch.export.save")
            description = _json(archive, entries[0])
            stored = [name for name in names if name.endswith(f"/{_TIES}")]
            config = _json(archive, stored[0])["config"] if stored else {}
            return description, {name: _view(entry) for name, entry in config.items() if _is_stored(entry)}
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    except TfnasError:
        raise
    except (zipfile.BadZipFile, zipfile.zlib.error, RuntimeError, OSError, EOFError, *_NOT_A_PROGRAM) as error:
        raise CorruptArtefactError(f"{path}: not a .pt2 file ({str(error)[:100]})") from error


def _is_stored(entry: Mapping[str, Any]) -> bool:
    """Whether a weight has numbers; weights of the device `meta` have none, and all share one empty file."""
    return entry["tensor_meta"]["device"]["type"] != "meta"


def _view(entry: Mapping[str, Any]) -> str:
    """The part of a file that a weight views."""
    meta = entry["tensor_meta"]
    return json.dumps([entry["path_name"], meta["sizes"], meta["strides"], meta["storage_offset"]])


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    """The content of a JSON file of the archive."""
    with archive.open(name) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{name} is larger than {_MAX_BYTES} bytes")
    return json.loads(content)


class _Program:
    """The nodes of a program as `torch_graphs.from_aten` takes them.

    Attributes:
      nodes: nodes, inputs and weights first.
      outputs: numbers of the nodes that the program returns.
      notes: lines that say what was assumed.
    """

    def __init__(
        self, module: Mapping[str, Any], ties: Mapping[str, str], given: InputShapes, path: pathlib.Path
    ) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.notes: tuple[str, ...] = ()
        self._numbers: dict[str, int] = {}
        self._symbols: dict[str, int] = {}
        graph, signature = module["graph"], module["signature"]
        self._close_inputs(graph, signature, given, path)
        files: dict[str, int] = {}
        for spec in signature["input_specs"]:
            ((role, content),) = spec.items()
            if role in _HELD:
                name, held = content["arg"]["name"], content.get(f"{role}_name", content["arg"]["name"])
                file = ties.get(held, held)
                if file in files:
                    self._numbers[name] = files[file]
                else:
                    files[file] = self._add(name, held, "weight", [], [graph["tensor_values"][name]])
            elif role == "user_input" and "as_tensor" in content["arg"]:
                name = content["arg"]["as_tensor"]["name"]
                self._add(name, name, "input", [], [graph["tensor_values"][name]])
        self._walk(graph)
        results = [spec["user_output"]["arg"] for spec in signature["output_specs"] if "user_output" in spec]
        self.outputs = [self._numbers[arg["as_tensor"]["name"]] for arg in results if "as_tensor" in arg]

    def _close_inputs(self, graph: Mapping, signature: Mapping, given: InputShapes, path: pathlib.Path) -> None:
        """Gives a value to the symbols of open extents."""
        specs = [spec["user_input"]["arg"] for spec in signature["input_specs"] if "user_input" in spec]
        sizes = {
            arg["as_tensor"]["name"]: graph["tensor_values"][arg["as_tensor"]["name"]]["sizes"]
            for arg in specs
            if "as_tensor" in arg
        }
        declared = {name: tuple(size.get("as_int") for size in extents) for name, extents in sizes.items()}
        told = set(given if isinstance(given, Mapping) else declared) if given is not None else set()
        example = {name: tuple(self._extent(size) for size in extents) for name, extents in sizes.items()}
        closed = {name: shape if name in told else example[name] for name, shape in declared.items()}
        shapes, _ = closed_shapes(closed, given, path)
        for name, extents in sizes.items():
            for size, extent in zip(extents, shapes[name], strict=True):
                free = symbol(size["as_expr"]["expr_str"]) if "as_expr" in size else None
                if free is not None and extent is not None:
                    self._symbols.setdefault(free, extent)
        assumed = [name for name, shape in declared.items() if name not in told and None in shape[1:]]
        self.notes = assumption_notes({name: shapes[name] for name in assumed})

    def _walk(self, graph: Mapping[str, Any]) -> None:
        """Adds the nodes of a graph; a graph that is called in a changed mode alone is written out."""
        for node in graph["nodes"]:
            bodies = [entry["arg"]["as_graph"]["graph"] for entry in node["inputs"] if "as_graph" in entry["arg"]]
            target = node["target"].split(".")
            if len(bodies) == 1 and target[-1].startswith("wrap_with"):
                self._inline(node, bodies[0])
                continue
            kind = target[-2] if len(target) > 2 and target[1] == "ops" and target[2] != "higher_order" else target[-1]
            outputs = [name for output in node["outputs"] for name in _tensors(output)]
            if not outputs:
                continue  # numbers and checks of numbers
            values = graph["tensor_values"]
            inputs = [self._numbers[name] for entry in node["inputs"] for name in _tensors(entry["arg"])]
            positional = [entry["arg"] for entry in node["inputs"] if entry.get("kind") != _KEYWORD]
            arguments = [self._plain(argument, graph) for argument in positional]
            metadata = [values[name] for name in outputs]
            layer = _layer(node) or outputs[0]
            made = self._add(outputs[0], layer, kind, inputs, metadata, arguments)
            if len(outputs) > 1 or "as_tensors" in node["outputs"][0]:
                for name in outputs:
                    self._add(name, layer, "getitem", [made], [values[name]], ["tensor", 0])

    def _inline(self, node: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        operands = [name for entry in node["inputs"] for name in _tensors(entry["arg"])]
        for entry, name in zip(body["inputs"], operands, strict=True):
            self._numbers[entry["as_tensor"]["name"]] = self._numbers[name]
        self._walk(body)
        results = [name for output in body["outputs"] for name in _tensors(output)]
        for name, result in zip(
            (name for output in node["outputs"] for name in _tensors(output)), results, strict=True
        ):
            self._numbers[name] = self._numbers[result]

    def _add(
        self,
        name: str,
        layer: str,
        kind: str,
        inputs: Sequence[int],
        tensors: Sequence[Mapping[str, Any]],
        arguments: Sequence[Any] = (),
    ) -> int:
        shapes = [[self._extent(size) for size in tensor["sizes"]] for tensor in tensors]
        if max(map(math.prod, shapes), default=0) > _MAX_NUMBERS:
            raise ValueError(f"{name!r} has more than {_MAX_NUMBERS} numbers")
        self.nodes.append(
            {
                **{"name": layer, "kind": kind, "inputs": list(inputs), "arguments": list(arguments)},
                "shapes": shapes,
                "floating": [tensor["dtype"] in _FLOATING for tensor in tensors],
            }
        )
        self._numbers[name] = len(self.nodes) - 1
        return self._numbers[name]

    def _extent(self, size: Mapping[str, Any]) -> int:
        """An extent: a number, or an expression of symbols, whose value in the example stands for what is unknown."""
        if "as_int" in size:
            extent = size["as_int"]
        else:
            extent = evaluate(size["as_expr"]["expr_str"], self._symbols)
            extent = size["as_expr"]["hint"]["as_int"] if extent is None else extent
        if not isinstance(extent, int) or not 0 <= extent <= _MAX_EXTENT:
            raise ValueError(f"an extent of {extent!r}")
        return extent

    def _plain(self, argument: Mapping[str, Any], graph: Mapping[str, Any]) -> Any:
        """An argument as `torch_worker` writes it: numbers, lists of numbers, and "tensor" for a tensor."""
        ((kind, value),) = argument.items()
        if kind in ("as_tensor", "as_none"):
            return "tensor" if kind == "as_tensor" else None
        if kind == "as_optional_tensor":
            return self._plain(value, graph)
        if kind in ("as_tensors", "as_optional_tensors"):
            return ["tensor" for _ in value]
        if kind == "as_sym_int":
            return self._number(value, graph)
        if kind == "as_sym_ints":
            return [self._number(entry, graph) for entry in value]
        plain = (bool, int, float, str, list)
        return value if isinstance(value, plain) else str(value)

    def _number(self, value: Mapping[str, Any], graph: Mapping[str, Any]) -> int:
        """A number that is given or that a node computes from shapes."""
        return value["as_int"] if "as_int" in value else self._extent(graph["sym_int_values"][value["as_name"]])


def _tensors(argument: Mapping[str, Any]) -> list[str]:
    """Names of the tensors of an argument or output."""
    ((kind, value),) = argument.items()
    if kind == "as_tensor":
        return [value["name"]]
    if kind == "as_optional_tensor":
        return _tensors(value)
    if kind in ("as_tensors", "as_optional_tensors"):
        entries = [entry if kind == "as_tensors" else entry.get("as_tensor") for entry in value]
        return [entry["name"] for entry in entries if entry is not None]
    return []


def _layer(node: Mapping[str, Any]) -> str:
    """The path of the module that a node comes from, "" for the outermost module."""
    stack = node.get("metadata", {}).get("nn_module_stack", "")
    path = stack.rpartition(";")[2].split(",")
    return path[1] if len(path) == 3 else ""

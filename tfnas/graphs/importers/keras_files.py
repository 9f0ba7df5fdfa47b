"""Files of Keras models: `.keras` of both generations and HDF5. The configuration is read, never a weight.

A configuration is data that decides which layers Keras builds. So only layers of Keras are built, none that runs code
or opens a file that the configuration names, and the sizes and the nesting of what is read are bounded.
"""

import dataclasses
import importlib
import json
import pathlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes
from tfnas.graphs.importers.keras_configs import read_configuration
from tfnas.graphs.importers.keras_errors import reason
from tfnas.graphs.importers.keras_graphs import KERAS_LIBRARIES, from_constructor, from_tf_keras_constructor
from tfnas.graphs.importers.keras_quantised import remove_quantisation

_MAX_BYTES = 16 * 2**20
_MAX_DEPTH = 200
_EXPORT = "export a SavedModel where its code is (model.export) and read that"
_WITH_CODE = {
    "Lambda": "holds Python code, which safe mode does not run",
    "TFSMLayer": "opens another SavedModel",
    "TorchModuleWrapper": "holds a pickle, which may run any code",
    "JaxLayer": "holds Python code, which safe mode does not run",
    "FlaxLayer": "holds Python code, which safe mode does not run",
}
"""Classes of Keras that are refused, and why."""

_RANDOM = {
    *("GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "RandomNormal"),
    *("RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal"),
}
_TRAINING = ("compile_config", "optimizer", "loss", "metrics")
_SYMBOL_CLASSES = {"TFOpLambda", "SlicingOpLambda", "ClassMethod"}
_SYMBOL_MODULES = {"math", "nn", "linalg", "image", "signal", "bitwise", "strings", "__operators__", "activations"}
_ARRAY_SYMBOLS = """
    cast concat stack unstack split squeeze expand_dims reshape transpose tile repeat pad gather gather_nd slice
    strided_slice boolean_mask broadcast_to fill zeros zeros_like ones ones_like one_hot range rank reverse roll shape
    size where identity stop_gradient clip_by_value clip_by_norm einsum tensordot norm convert_to_tensor meshgrid
    linspace sequence_mask scatter_nd tensor_scatter_nd_update searchsorted sort argsort reverse_sequence eye
    concatenate permute_dimensions mean std var max min sum prod clip relu softmax dot batch_dot flatten batch_flatten
    resize_images l2_normalize repeat_elements arange"""
"""Functions of TensorFlow outside its mathematical modules that a layer of Keras 2 may stand for."""

_INVALID = re.compile(r"[^A-Za-z0-9_.-]")


@dataclasses.dataclass(frozen=True)
class KerasFile:
    """The configuration of a model's file.

    Attributes:
      path: path of the file.
      config: configuration without the state of training and without quantisation, with names that TensorFlow accepts.
      library: `keras` or `tf_keras`, which wrote the file.
      legacy: True for the configuration of an HDF5 file.
      renamed: names of layers in the file by the names in the configuration, where they differ.
    """

    path: pathlib.Path
    config: Mapping[str, Any]
    library: str
    legacy: bool
    renamed: Mapping[str, str]

    def build(self) -> Any:
        """The model with fresh weights.

        Raises:
          InvalidArchitectureError: Keras refuses the configuration, for example a layer that it does not define.
        """
        try:
            if not self.legacy:
                saving = importlib.import_module(self.library).saving
                return saving.deserialize_keras_object(self.config, safe_mode=True)
            if self.library == "tf_keras":
                return importlib.import_module("tf_keras").models.model_from_config(self.config)
            return importlib.import_module("keras.src.legacy.saving.saving_utils").model_from_config(self.config)
        except Exception as error:  # Keras raises many classes
            text = reason(error)
            custom = re.search(
                r"could not locate|unknown (layer|object)|requires? `?(from_config|get_config)", text, re.I
            )
            advice = f"; {_EXPORT}" if custom else ""
            raise InvalidArchitectureError(f"{self.path}: Keras can't build it in safe mode: {text}{advice}") from error


def from_keras_file(path: artefacts.PathLike, *, input_shapes: InputShapes = None, **facts: object) -> ComputationGraph:
    """The computation graph of a `.keras` file or of a whole model in HDF5. Its weights are not read.

    A `.keras` file of Keras 3 is read from its configuration alone where `keras_rules` knows all of its layers. The
    layers of any other model are built from the configuration in safe mode by the Keras that wrote the file, and only
    if Keras defines all of them. The graph is the same either way. No code from the file runs, and no module that the
    file names is imported.

    Args:
      path: `.keras`, `.h5` or `.hdf5` file.
      input_shapes: shapes of inputs; see `from_keras`.
      **facts: name, family, source and label.

    Raises:
      CorruptArtefactError: not a file of Keras, or a damaged file.
      InvalidArchitectureError: a custom layer or a lambda, or anything that `from_keras` refuses.
    """
    file = read_keras_file(path)
    facts = {"name": file.path.stem, "source": "keras", **facts}
    graph = None
    if file.library == "keras" and not file.legacy:
        graph = read_configuration(file.config, input_shapes=input_shapes, **facts)
    if graph is None:
        graph = _built(file, input_shapes, facts)
    layers = ("/".join(file.renamed.get(scope, scope) for scope in name.split("/")) for name in graph.layers)
    return graph.replace(layers=tuple(layers))


def _built(file: KerasFile, input_shapes: InputShapes, facts: Mapping[str, object]) -> ComputationGraph:
    """The graph of a model that Keras builds and traces."""
    read = from_tf_keras_constructor if file.library == "tf_keras" else from_constructor
    try:
        return read(file.build, input_shapes=input_shapes, **facts)[0]
    except TfnasError:
        raise
    except Exception as error:  # Keras raises many classes
        raise InvalidArchitectureError(f"{file.path}: Keras can't trace it: {reason(error)}") from error


def read_keras_file(path: artefacts.PathLike) -> KerasFile:
    """The configuration of a `.keras` or HDF5 file, checked.

    Raises:
      CorruptArtefactError: not a file of Keras, a damaged file, or a configuration that is too large or too deep.
      InvalidArchitectureError: a layer that Keras does not define, that runs code or that opens a file; weights alone.
    """
    path = pathlib.Path(path)
    legacy = path.suffix != ".keras"
    try:
        if not path.exists():
            raise CorruptArtefactError(f"{path}: no such file")
        config, version = _read_hdf5(path) if legacy else _read_archive(path)
        if not isinstance(config, dict) or "class_name" not in config:
            raise CorruptArtefactError(f"{path}: its configuration is not that of a Keras model")
    except TfnasError:
        raise
    except RecursionError as error:
        raise CorruptArtefactError(f"{path}: its configuration is nested too deeply") from error
    except Exception as error:  # the readers of archives and of HDF5 raise many classes
        words = ".keras" if not legacy else "HDF5"
        raise CorruptArtefactError(f"{path}: not a {words} file ({reason(error)})") from error
    second = version.startswith("2.") or str(config.get("module")).startswith("tf_keras")
    for value in _dictionaries(config, path):
        for name in _TRAINING:
            if name == "compile_config" or (value is config and legacy):
                value.pop(name, None)
        _check(value, path)
        _simplify_initializers(value)
    remove_quantisation(config)
    renamed = _rename(config, path)
    return KerasFile(path, config, "tf_keras" if second else "keras", legacy, renamed)


def _read_archive(path: pathlib.Path) -> tuple[Any, str]:
    """The configuration of a `.keras` file and the version of Keras."""
    with zipfile.ZipFile(path) as archive:
        texts = {}
        for name in ("config.json", "metadata.json"):
            if name == "metadata.json" and name not in archive.namelist():
                continue
            with archive.open(name) as stream:
                texts[name] = stream.read(_MAX_BYTES + 1)
            if max(len(texts[name]), archive.getinfo(name).file_size) > _MAX_BYTES:
                raise CorruptArtefactError(f"{path}: its {name} is larger than {_MAX_BYTES} bytes")
    metadata = json.loads(texts.get("metadata.json", b"{}"))
    return json.loads(texts["config.json"]), str(metadata.get("keras_version"))


def _read_hdf5(path: pathlib.Path) -> tuple[Any, str]:
    """The configuration of a whole model in HDF5 and the version of Keras, which are attributes of the file."""
    import h5py

    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise InvalidArchitectureError(
                f"{path}: weights without an architecture; save the whole model (model.save), as a .keras file"
            )
        text, version = file.attrs["model_config"], file.attrs.get("keras_version", "2.")
    if len(text) > _MAX_BYTES:
        raise CorruptArtefactError(f"{path}: its model_config is larger than {_MAX_BYTES} bytes")
    return json.loads(text), version.decode() if isinstance(version, bytes) else str(version)


def _dictionaries(config: Any, path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """All dictionaries of a configuration, the outer ones first."""
    stack = [(config, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > _MAX_DEPTH:
            raise CorruptArtefactError(f"{path}: its configuration is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(value, dict):
            yield value
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        stack.extend((child, depth + 1) for child in children)


def _simplify_initializers(value: dict[str, Any]) -> None:
    """Zeros in place of random initial values of Keras, which would take most of the time and say nothing."""
    for name, entry in value.items():
        if name.endswith("_initializer") and isinstance(entry, dict) and str(entry.get("class_name")) in _RANDOM:
            value[name] = entry | {"class_name": "Zeros", "config": {}}


def _check(value: dict[str, Any], path: pathlib.Path) -> None:
    """Refuses an object from elsewhere than Keras, a class that runs code, and a class without a name.

    Raises:
      CorruptArtefactError, InvalidArchitectureError: see above.
    """
    kind, settings = value.get("class_name"), value.get("config")
    if kind is None:
        return
    if not isinstance(kind, str):
        raise CorruptArtefactError(f"{path}: the name of a class is no text")
    module = value.get("module")
    root = str(module).partition(".")[0]
    if module is not None and root not in KERAS_LIBRARIES and (root, kind) != ("builtins", "function"):
        raise InvalidArchitectureError(f"{path}: {kind!r} of the module {module!r} is not a layer of Keras; {_EXPORT}")
    if kind in _WITH_CODE:
        raise InvalidArchitectureError(f"{path}: a layer is a {kind}, which {_WITH_CODE[kind]}; {_EXPORT}")
    settings = settings if isinstance(settings, dict) else {}
    if isinstance(settings.get("vocabulary"), str):
        raise InvalidArchitectureError(
            f"{path}: the vocabulary of {settings.get('name')!r} is a file, which is not opened; {_EXPORT}"
        )
    if kind in _SYMBOL_CLASSES and not _is_array_function(str(settings.get("function", ""))):
        raise InvalidArchitectureError(
            f"{path}: {settings.get('function')!r} of {settings.get('name')!r} is no function of arrays; {_EXPORT}"
        )


def _is_array_function(symbol: str) -> bool:
    """Whether the name of a function of TensorFlow is one that computes tensors from tensors alone."""
    scopes = symbol.removeprefix("compat.v1.").removeprefix("keras.").removeprefix("backend.").split(".")
    if len(scopes) > 1:
        return scopes[0] in _SYMBOL_MODULES
    return scopes[0] in _ARRAY_SYMBOLS.split() or hasattr(tf.math, scopes[0])


def _rename(config: Any, path: pathlib.Path) -> dict[str, str]:
    """Gives layers, in place, names that TensorFlow takes for scopes; returns the old names by the new ones."""
    named = [
        value["config"]
        for value in _dictionaries(config, path)
        if "class_name" in value and isinstance(value.get("config"), dict)
    ]
    names = [settings["name"] for settings in named if isinstance(settings.get("name"), str)]
    taken, new = set(names), dict[str, str]()
    for name in names:
        valid = _INVALID.sub("_", name)
        valid = valid if valid[:1].isalnum() else f"layer{valid}"
        while valid != name and name not in new and valid in taken:
            valid += "_"
        if valid != name and name not in new:
            new[name] = valid
            taken.add(valid)
    if new:
        for value in _dictionaries(config, path):
            if isinstance(value.get("name"), str):
                value["name"] = new.get(value["name"], value["name"])
        _rename_references(config, new)
    return {valid: name for name, valid in new.items()}


def _rename_references(config: Any, new: Mapping[str, str]) -> None:
    """Renames layers in references to tensors: lists of a name and two numbers."""
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, list) and len(value) > 2 and isinstance(value[0], str) and isinstance(value[1], int):
            value[0] = new.get(value[0], value[0])
        stack.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())

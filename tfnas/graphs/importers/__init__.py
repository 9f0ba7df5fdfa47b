"""One door for models: a row of `FORMATS` says which importer reads files of a suffix and objects of a library."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from tfnas import artefacts
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes
from tfnas.graphs.importers.hints import hint

FOLDER = ""
"""Suffix in `FORMATS` of a model that is a folder."""


class Options(TypedDict, total=False):
    """What a user says of a model and of how it is read; keywords of `import_model`.

    Attributes:
      input_shape: shapes with the batch first, for inputs whose shapes the model leaves open: by name, or the shape of
        the only input. Open extents that nothing gives are assumed, with a note: 224 for the height and width of an
        image, 128 for any other axis.
      dims: extents of the open dimensions that an ONNX file names, by name.
      signature: signature of a SavedModel, `serving_default` by default, or of a .tflite file, whose first subgraph is
        the default.
      strict: True to refuse a model of which the importer assumes or cannot understand something; False to read the
        model and tell in the graph's `notes`.
    """

    input_shape: InputShapes
    dims: Mapping[str, int] | None
    signature: str | None
    strict: bool


class Keywords(Options, total=False):
    """Keywords of `import_model`: options, and facts that become the graph's.

    Attributes:
      name: name of the network; the file's or the model's by default.
      family: family of the network.
      source: library or project of the network; the format's by default.
      label: accuracy as a fraction.
    """

    name: str
    family: str
    source: str
    label: float


_FLAGS = {"input_shape": "--input_shape", "dims": "--dim", "signature": "--signature", "strict": "--strict"}


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of `FORMATS`.

    Attributes:
      words: name of a file of the format in messages, with an article.
      read: function from a path, the shapes of `Options` and, by keyword, other options and facts to the graph.
      marker: name of a file that every folder of the format holds; "" for a format of files.
      object_words: name of a model in memory in messages, with an article; "" for a format of files alone.
      classes: classes of models in memory, as pairs of a package and the name of a class or of one of its bases.
      convert: function from a model in memory, shapes, options and facts, as `read` takes them, to the graph.
      options: names of the fields of `Options` that `read` and `convert` take.
    """

    words: str
    read: Callable[..., ComputationGraph]
    marker: str = ""
    object_words: str = ""
    classes: tuple[tuple[str, str], ...] = ()
    convert: Callable[..., ComputationGraph] | None = None
    options: tuple[str, ...] = ("input_shape",)

    def holds(self, model: object) -> bool:
        """Whether a model in memory is of one of the classes. The package of the classes is not imported."""
        names = {(base.__module__.partition(".")[0], base.__name__) for base in type(model).__mro__}
        return not names.isdisjoint(self.classes)


def _keras_file(path: pathlib.Path, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.keras_files import from_keras_file

    return from_keras_file(path, input_shapes=shapes, **facts)


def _keras_model(model: Any, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.keras_graphs import from_keras

    return from_keras(model, input_shapes=shapes, **facts)


def _onnx(model: Any, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.onnx_graphs import from_onnx

    return from_onnx(model, input_shapes=shapes, **facts)


def _tflite(path: pathlib.Path, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.tflite_graphs import from_tflite

    return from_tflite(path, input_shapes=shapes, **facts)


def _torch_program(path: pathlib.Path, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.torch_programs import from_torch_program

    return from_torch_program(path, input_shapes=shapes, **facts)


def _saved_model(path: pathlib.Path, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.tensorflow_graphs import from_saved_model

    return from_saved_model(path, input_shapes=shapes, **facts)


def _function(model: Any, shapes: InputShapes, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.tensorflow_graphs import from_function

    return from_function(model, input_shape=shapes, **facts)


FORMATS: dict[str, Format] = {
    ".keras": Format(
        "a .keras file",
        _keras_file,
        object_words="a Keras model",
        classes=(("keras", "Model"), ("tf_keras", "Model")),
        convert=_keras_model,
    ),
    ".h5": Format("an .h5 file", _keras_file),
    ".hdf5": Format("an .hdf5 file", _keras_file),
    ".onnx": Format(
        "an .onnx file",
        _onnx,
        object_words="an ONNX ModelProto",
        classes=(("onnx", "ModelProto"),),
        convert=_onnx,
        options=("input_shape", "dims", "strict"),
    ),
    ".tflite": Format("a .tflite file", _tflite, options=("input_shape", "signature")),
    ".pt2": Format("a .pt2 file", _torch_program),
    FOLDER: Format(
        "the folder of a SavedModel",
        _saved_model,
        marker="saved_model.pb",
        object_words="a tf.function",
        classes=(("tensorflow", "PolymorphicFunction"), ("tensorflow", "ConcreteFunction")),
        convert=_function,
        options=("input_shape", "signature"),
    ),
}
"""Formats of models by the suffix of their files."""


Model = ComputationGraph | artefacts.PathLike | Any
"""A model: the path of a file or folder of `FORMATS`, a model in memory of their classes, or a computation graph."""


def format_words() -> str:
    """All formats of files, as messages and documents list them."""
    *words, last = (row.words for row in FORMATS.values())
    return f"{', '.join(words)} or {last}"


def object_words() -> str:
    """All models in memory, as messages and documents list them."""
    return ", ".join(row.object_words for row in FORMATS.values() if row.object_words)


def import_model(model: Model, **keywords: Unpack[Keywords]) -> ComputationGraph:
    """The computation graph of a model. No data flows through the model.

    Args:
      model: path of a file or folder (see `from_file`), model of Keras 3 or tf_keras, tf.function, concrete function,
        ONNX `ModelProto`, or a computation graph, which is returned as it is.
      **keywords: options (input_shape, dims, signature and strict; see `Options`), and facts that become the graph's
        (name, family, source and label).

    Raises:
      ConfigurationError: no such file, an object that is no model, or an option that the format has no use for.
      CorruptArtefactError, InvalidArchitectureError: the format's importer refuses the model.

    Example:
      >>> import tensorflow as tf
      >>> @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32)])
      ... def model(values):
      ...     return tf.nn.relu(values)
      >>> import_model(model).operator_names
      ['input', 'relu', 'output']
    """
    if isinstance(model, ComputationGraph):
        return _imported(_replaced, "a computation graph", ("strict",), model, keywords)
    if isinstance(model, str | os.PathLike):
        return from_file(model, **keywords)
    for row in FORMATS.values():
        if row.convert is not None and row.holds(model):
            options = tuple(name for name in row.options if name != "signature")
            return _imported(row.convert, row.object_words, options, model, keywords)
    raise ConfigurationError(
        f"an object of the class {type(model).__name__!r} is not a model that tfnas reads, expected the path of "
        f"{format_words()}, {object_words()}, or a computation graph"
    )


def _replaced(graph: ComputationGraph, shapes: None, strict: bool = False, **facts: Any) -> ComputationGraph:
    return graph.replace(**facts) if facts else graph


def _imported(
    read: Callable[..., ComputationGraph],
    words: str,
    options: tuple[str, ...],
    model: Any,
    keywords: Mapping[str, Any],
) -> ComputationGraph:
    """The graph that a function of a row reads.

    Args:
      read: function from a model, shapes, options and facts to the graph.
      words: name of the model in messages.
      options: names of the options that the function takes.
      model: path or model in memory.
      keywords: keywords of `import_model`.

    Raises:
      ConfigurationError: an option that the function does not take.
      InvalidArchitectureError: the model is refused, or has notes and must not.
    """
    passed = {name: value for name, value in keywords.items() if name not in _FLAGS or value}
    for name in _FLAGS:
        if name in passed and name not in (*options, "strict"):
            takers = [row.words for row in FORMATS.values() if name in row.options]
            raise ConfigurationError(f"{words} takes no {name} ({_FLAGS[name]}), expected {' or '.join(takers)}")
    strict = passed.get("strict", False) if "strict" in options else passed.pop("strict", False)
    graph = read(model, passed.pop("input_shape", None), **passed)
    if strict and graph.notes:
        raise InvalidArchitectureError(f"{graph.name}: {graph.notes[0]}; strict (--strict) refuses that")
    return graph


def is_model(value: object) -> bool:
    """Whether a value is one model, not a collection of models."""
    single = isinstance(value, ComputationGraph | str | os.PathLike)
    return single or any(row.holds(value) for row in FORMATS.values())


def from_file(path: artefacts.PathLike, **keywords: Unpack[Keywords]) -> ComputationGraph:
    """The computation graph of a model file of one of `FORMATS`. No weights are read and nothing in the file is run.

    Args:
      path: file or folder of the model.
      **keywords: keywords of `import_model`.

    Raises:
      ConfigurationError: the path is of no format, or an option that the format has no use for.
      CorruptArtefactError, InvalidArchitectureError: the format's importer refuses the model.
    """
    path = pathlib.Path(path)
    advice = hint(path)
    if advice is not None and path.exists():
        raise ConfigurationError(f"{path}: {advice}")
    suffix = path.suffix if path.suffix in FORMATS or not path.is_dir() else FOLDER
    if suffix not in FORMATS or (suffix == FOLDER and not path.is_dir()):
        fault = "no such file or folder" if not path.exists() else "not a model that tfnas reads"
        raise ConfigurationError(f"{path}: {fault}, expected {format_words()}")
    row = FORMATS[suffix]
    return _imported(row.read, f"{path}: {row.words}", row.options, path, keywords)


def model_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """Paths of all models of `FORMATS` below a folder, sorted."""
    markers = {row.marker for row in FORMATS.values() if row.marker}
    return [
        path.parent if path.name in markers else path
        for path in sorted(folder.rglob("*"))
        if path.name in markers or (path.suffix != FOLDER and path.suffix in FORMATS)
    ]

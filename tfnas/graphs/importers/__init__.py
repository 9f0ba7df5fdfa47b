"""One door for models: a row of `FORMATS` says which importer reads files of a suffix and objects of a library."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph

FOLDER = ""
"""Suffix in `FORMATS` of a model that is a folder."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of `FORMATS`.

    Attributes:
      words: name of a file of the format in messages, with an article.
      read: function from a path, an input shape (with the batch first, or None) and facts by keyword to the graph.
      marker: name of a file that every folder of the format holds; "" for a format of files.
      object_words: name of a model in memory in messages, with an article; "" for a format of files alone.
      classes: classes of models in memory, as pairs of a package and the name of a class or of one of its bases.
      convert: function from a model in memory, an input shape and facts, as `read` takes them, to the graph.
    """

    words: str
    read: Callable[..., ComputationGraph]
    marker: str = ""
    object_words: str = ""
    classes: tuple[tuple[str, str], ...] = ()
    convert: Callable[..., ComputationGraph] | None = None

    def holds(self, model: object) -> bool:
        """Whether a model in memory is of one of the classes. The package of the classes is not imported."""
        names = {(base.__module__.partition(".")[0], base.__name__) for base in type(model).__mro__}
        return not names.isdisjoint(self.classes)


def _keras_file(path: pathlib.Path, input_shape: Sequence[int] | None, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.keras_graphs import from_keras_file

    return from_keras_file(path, input_shape=input_shape, **facts)


def _keras_model(model: Any, input_shape: Sequence[int] | None, **facts: Any) -> ComputationGraph:
    import tensorflow as tf

    from tfnas.graphs.importers.keras_graphs import from_keras

    return from_keras(model, inputs=None if input_shape is None else tf.TensorSpec(input_shape), **facts)


def _onnx(model: Any, input_shape: Sequence[int] | None, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.onnx_graphs import from_onnx

    return from_onnx(model, input_shapes=input_shape, **facts)


def _saved_model(path: pathlib.Path, input_shape: Sequence[int] | None, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.tensorflow_graphs import from_saved_model

    return from_saved_model(path, input_shapes=input_shape, **facts)


def _function(model: Any, input_shape: Sequence[int] | None, **facts: Any) -> ComputationGraph:
    from tfnas.graphs.importers.tensorflow_graphs import from_function

    return from_function(model, input_shape=input_shape, **facts)


FORMATS: dict[str, Format] = {
    ".keras": Format(
        "a .keras file",
        _keras_file,
        object_words="a Keras model",
        classes=(("keras", "Model"), ("tf_keras", "Model")),
        convert=_keras_model,
    ),
    ".onnx": Format(
        "an .onnx file", _onnx, object_words="an ONNX ModelProto", classes=(("onnx", "ModelProto"),), convert=_onnx
    ),
    FOLDER: Format(
        "the folder of a SavedModel",
        _saved_model,
        marker="saved_model.pb",
        object_words="a tf.function",
        classes=(("tensorflow", "PolymorphicFunction"), ("tensorflow", "ConcreteFunction")),
        convert=_function,
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


def import_model(model: Model, *, input_shape: Sequence[int] | None = None, **facts: Any) -> ComputationGraph:
    """The computation graph of a model. No data flows through the model.

    Args:
      model: path of a file or folder (see `from_file`), model of Keras 3 or tf_keras, tf.function, concrete function,
        ONNX `ModelProto`, or a computation graph, which is returned as it is.
      input_shape: shape with the batch first, for a model with one input that leaves its shape open.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: no such file, or an object that is no model.
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
        return model.replace(**facts) if facts else model
    if isinstance(model, str | os.PathLike):
        return from_file(model, input_shape=input_shape, **facts)
    for row in FORMATS.values():
        if row.convert is not None and row.holds(model):
            return row.convert(model, input_shape, **facts)
    raise ConfigurationError(
        f"an object of the class {type(model).__name__!r} is not a model that tfnas reads, expected the path of "
        f"{format_words()}, {object_words()}, or a computation graph"
    )


def is_model(value: object) -> bool:
    """Whether a value is one model, not a collection of models."""
    single = isinstance(value, ComputationGraph | str | os.PathLike)
    return single or any(row.holds(value) for row in FORMATS.values())


def from_file(path: artefacts.PathLike, *, input_shape: Sequence[int] | None = None, **facts: Any) -> ComputationGraph:
    """The computation graph of a model file of one of `FORMATS`. No weights are read and nothing in the file is run.

    Args:
      path: file or folder of the model.
      input_shape: shape with the batch first, for a model with one input that leaves its shape open.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: the path is of no format.
      CorruptArtefactError, InvalidArchitectureError: the format's importer refuses the model.
    """
    path = pathlib.Path(path)
    suffix = path.suffix if path.suffix in FORMATS or not path.is_dir() else FOLDER
    if suffix not in FORMATS or (suffix == FOLDER and not path.is_dir()):
        fault = "no such file or folder" if not path.exists() else "not a model that tfnas reads"
        raise ConfigurationError(f"{path}: {fault}, expected {format_words()}")
    return FORMATS[suffix].read(path, input_shape, **facts)


def model_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """Paths of all models of `FORMATS` below a folder, sorted."""
    markers = {row.marker for row in FORMATS.values() if row.marker}
    return [
        path.parent if path.name in markers else path
        for path in sorted(folder.rglob("*"))
        if path.name in markers or (path.suffix != FOLDER and path.suffix in FORMATS)
    ]

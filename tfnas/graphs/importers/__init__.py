"""One door for model files: a row of `FORMATS` says which importer reads files of a suffix."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph

FOLDER = ""
"""Suffix in `FORMATS` of a model that is a folder."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of `FORMATS`.

    Attributes:
      words: name of a model of the format in messages, with an article.
      read: function from a path, an input shape (with the batch first, or None) and facts by keyword to the graph.
      marker: name of a file that every folder of the format holds; "" for a format of files.
    """

    words: str
    read: Callable[..., ComputationGraph]
    marker: str = ""


def _keras(path: pathlib.Path, input_shape: Sequence[int] | None, **facts: object) -> ComputationGraph:
    from tfnas.graphs.importers.keras_graphs import from_keras_file

    return from_keras_file(path, input_shape=input_shape, **facts)


def _onnx(path: pathlib.Path, input_shape: Sequence[int] | None, **facts: object) -> ComputationGraph:
    from tfnas.graphs.importers.onnx_graphs import from_onnx

    return from_onnx(path, input_shapes=input_shape, **facts)


def _saved_model(path: pathlib.Path, input_shape: Sequence[int] | None, **facts: object) -> ComputationGraph:
    from tfnas.graphs.importers.tensorflow_graphs import from_saved_model

    return from_saved_model(path, input_shapes=input_shape, **facts)


FORMATS: dict[str, Format] = {
    ".keras": Format("a .keras file", _keras),
    ".onnx": Format("an .onnx file", _onnx),
    FOLDER: Format("the folder of a SavedModel", _saved_model, marker="saved_model.pb"),
}
"""Formats of model files by suffix."""


def format_words() -> str:
    """All formats, as messages and documents list them."""
    *words, last = (row.words for row in FORMATS.values())
    return f"{', '.join(words)} or {last}"


def from_file(
    path: artefacts.PathLike, *, input_shape: Sequence[int] | None = None, **facts: object
) -> ComputationGraph:
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

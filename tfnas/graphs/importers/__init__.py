"""One door for model files: `.keras`, SavedModel or `.onnx`."""

import pathlib
from collections.abc import Sequence

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph


def from_file(
    path: artefacts.PathLike, *, input_shape: Sequence[int] | None = None, **facts: object
) -> ComputationGraph:
    """The computation graph of a model file; see `from_keras_file`, `from_saved_model` and `from_onnx`.

    Args:
      path: a `.keras` or `.onnx` file, or the folder of a SavedModel.
      input_shape: with the batch first, for a model with one input that leaves its shape open.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: none of these.
      CorruptArtefactError, InvalidArchitectureError: as the importer raises them.
    """
    path = pathlib.Path(path)
    if path.suffix == ".keras":
        from tfnas.graphs.importers.keras_graphs import from_keras_file

        return from_keras_file(path, input_shape=input_shape, **facts)
    if path.suffix == ".onnx":
        from tfnas.graphs.importers.onnx_graphs import from_onnx

        return from_onnx(path, input_shapes=input_shape, **facts)
    if path.is_dir():
        from tfnas.graphs.importers.tensorflow_graphs import from_saved_model

        return from_saved_model(path, input_shapes=input_shape, **facts)
    fault = "no such file or folder" if not path.exists() else "not a model that tfnas reads"
    raise ConfigurationError(f"{path}: {fault}, expected a .keras file, an .onnx file or the folder of a SavedModel")

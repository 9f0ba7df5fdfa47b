"""An exported encoder of computation graphs, as prediction and retrieval use it."""

import pathlib
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.encoders.computation_graph.export import KIND
from tfnas.errors import InvalidArchitectureError, MismatchError
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import Graphs, embed_packed, pack
from tfnas.saved_models import SHIPPED, load_module


class SavedGraphEncoder:
    """An exported encoder.

    Args:
      folder: that `export.export` wrote; by default the encoder that ships with tfnas.

    Attributes:
      folder: that folder.
      manifest: its manifest.
      module: the loaded SavedModel.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
      MismatchError: it was trained with operators that this version does not know.
    """

    def __init__(self, folder: artefacts.PathLike | None = None):
        self.folder = pathlib.Path(folder or SHIPPED / "cg_encoder")
        self.manifest: dict[str, Any] = artefacts.read_manifest(self.folder, kind=KIND)
        known = list(OPERATORS[: len(self.manifest["operators"])])
        if self.manifest["operators"] != known:
            raise MismatchError(f"{self.folder}: trained with operators that this version of tfnas does not know")
        self.module = load_module(self.folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""
        return artefacts.fingerprint(self.manifest)

    def variables(self) -> list[np.ndarray]:
        """The weights in the order of `GraphEncoder.variables`, those of the projection included."""
        return [variable.numpy() for variable in self.module.weights]

    def embed(self, graphs: Graphs, *, progress: bool = False) -> np.ndarray:
        """Embeds N graphs.

        Returns:
          float32 `[N, D]`.

        Raises:
          InvalidArchitectureError: a graph has no operators, or an operator that the encoder was not trained with.
        """
        packed = pack(graphs)
        largest = int(packed.features[:, 0].max())
        if largest >= len(self.manifest["operators"]):
            name = OPERATORS[largest]
            raise InvalidArchitectureError(f"{self.folder}: trained before there was an operator {name!r}")
        encode = self.module.encode
        return embed_packed(lambda batch: encode(*batch)["embedding"], packed, progress=progress)

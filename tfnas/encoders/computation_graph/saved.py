"""Exported encoders of computation graphs, which need nothing but TensorFlow."""

import numpy as np

from tfnas import artefacts
from tfnas.encoders.base import KIND_PREFIX
from tfnas.encoders.graph_module import SavedGraphModel
from tfnas.saved_models import SHIPPED

KIND = KIND_PREFIX + "computation_graph"


class SavedGraphEncoder(SavedGraphModel):
    """An exported encoder of computation graphs.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was trained with operators that this version does not know.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> SavedGraphEncoder().embed([smallest_graph()]).shape
      (1, 128)
    """

    KIND = KIND

    def __init__(self, folder: artefacts.PathLike | None = None, *, trust: bool = False):
        super().__init__(folder or SHIPPED / "cg_encoder", trust=trust)

    def variables(self) -> list[np.ndarray]:
        """The weights in the order of `GraphEncoder.variables`, those of the projection included."""
        return [variable.numpy() for variable in self.module.weights]

"""Exported encoders of colours, which need nothing but TensorFlow."""

from tfnas import artefacts
from tfnas.encoders.base import KIND_PREFIX
from tfnas.encoders.graph_module import SavedGraphModel
from tfnas.saved_models import SHIPPED

KIND = KIND_PREFIX + "colour"


class SavedColourEncoder(SavedGraphModel):
    """An exported encoder of colours.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was computed with operators that this version does not know.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> SavedColourEncoder().embed([smallest_graph()]).shape
      (1, 1025)
    """

    KIND = KIND

    def __init__(self, folder: artefacts.PathLike | None = None, *, trust: bool = False):
        super().__init__(folder or SHIPPED / "colour_encoder", trust=trust)

"""Exported encoders of computation graphs, which need nothing but TensorFlow."""

import numpy as np

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder, check_operators, check_vocabulary
from tfnas.graphs.packed import Graphs, embed_packed, pack
from tfnas.saved_models import SHIPPED

KIND = KIND_PREFIX + "computation_graph"


class SavedGraphEncoder(SavedEncoder):
    """An exported encoder of computation graphs.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was trained with operators that this version does not know.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> SavedGraphEncoder().embed([smallest_graph()]).shape
      (1, 128)
    """

    KIND = KIND
    FACTS = ("embedding_dim", "operators")
    CORPUS_KIND = graph_corpora.KIND
    SHARED = ("operators",)

    def __init__(self, folder: artefacts.PathLike | None = None):
        super().__init__(folder or SHIPPED / "cg_encoder")
        check_vocabulary(self)

    def variables(self) -> list[np.ndarray]:
        """The weights in the order of `GraphEncoder.variables`, those of the projection included."""
        return [variable.numpy() for variable in self.module.weights]

    def embed(self, graphs: Graphs, *, progress: bool = False) -> np.ndarray:
        """Embeds N graphs.

        Args:
          graphs: N graphs.
          progress: show a bar; no bar by default.

        Returns:
          float32 `[N, D]`.

        Raises:
          InvalidArchitectureError: a graph has no operators, or an operator that the encoder was not trained with.
        """
        packed = pack(graphs)
        check_operators(self, packed)
        encode = self.module.encode
        return embed_packed(lambda batch: encode(*batch)["embedding"], packed, progress=progress)

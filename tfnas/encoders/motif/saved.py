"""Exported motif encoders: a SavedModel that needs nothing but TensorFlow, and the motifs."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import base
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder, check_operators, check_vocabulary
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.splitting import Splitter
from tfnas.errors import CorruptArtefactError
from tfnas.graphs.computation_graph import from_example
from tfnas.graphs.motifs.two_level import TwoLevelBatch, TwoLevelGraphs, embed_two_level
from tfnas.graphs.packed import Graphs, pack
from tfnas.saved_models import SHIPPED, input_specs
from tfnas.typed import instance

KIND = KIND_PREFIX + "motif"
MOTIFS_NAME = "motifs.npz"


class Facts(base.Facts):
    """Entries of the manifest of an encoder."""

    operators: list[str]
    config: dict[str, Any]


class SavedMotifEncoder(SavedEncoder):
    """An exported motif encoder and its motifs.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Attributes:
      splitter: cutter of graphs into the encoder's motifs.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was trained with operators or settings that this version does not know.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> SavedMotifEncoder().embed([smallest_graph()]).shape
      (1, 1024)
    """

    KIND = KIND
    FACTS = Facts
    FILES = (*base.SavedEncoder.FILES, MOTIFS_NAME)
    CORPUS_KIND = graph_corpora.KIND
    CORPUS_FACTS = graph_corpora.Facts
    SHARED = ("operators",)

    def __init__(self, folder: artefacts.PathLike | None = None, *, trust: bool = False):
        super().__init__(folder or SHIPPED / "motif_encoder", trust=trust)
        check_vocabulary(self)
        config = instance(MotifEncoderConfig, self.manifest["config"], f"{self.folder}: config")
        (width,) = input_specs(self.module.signatures["encode"])["neighbourhoods"].shape[1:]
        if config.neighbourhood_width != width:
            raise CorruptArtefactError(
                f"{self.folder}: config['neighbourhood_width'] is {config.neighbourhood_width}, the SavedModel takes "
                f"{width}"
            )
        self.splitter = Splitter.from_arrays(config, artefacts.read_npz(self.folder / MOTIFS_NAME))

    def two_level(self, graphs: Graphs) -> TwoLevelGraphs:
        """N graphs cut into the encoder's motifs.

        Raises:
          InvalidArchitectureError: a graph has no operators, or an operator that the encoder was not trained with.
        """
        packed = pack(graphs)
        check_operators(self, packed)
        return self.splitter(packed)

    def embed(self, graphs: TwoLevelGraphs | Graphs) -> np.ndarray:
        """Embeds N graphs.

        Returns:
          float32 `[N, D]` of length 1.

        Raises:
          InvalidArchitectureError: see `two_level`.
        """
        levels = graphs if isinstance(graphs, TwoLevelGraphs) else self.two_level(graphs)
        return embed_two_level(lambda batch: self.module.encode(**_arguments(batch))["embedding"], levels)

    def embed_records(self, records: tf.Tensor) -> np.ndarray:
        return self.embed([from_example(record) for record in records.numpy()])


def _arguments(batch: TwoLevelBatch) -> dict[str, tf.Tensor]:
    below, above = batch.ops._asdict(), batch.macro._asdict()
    renamed = {"node_graph": "motif_graph", "sources": "motif_sources", "targets": "motif_targets"}
    renamed["sizes"] = "motif_sizes"
    return {
        **below,
        "motif": batch.motif,
        **{new: above[old] for old, new in renamed.items()},
        "share": batch.share,
        "neighbourhoods": batch.neighbourhoods,
    }

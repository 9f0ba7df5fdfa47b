"""An exported motif encoder, as retrieval uses it."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.export import KIND, MOTIFS_NAME
from tfnas.encoders.motif.splitting import Splitter
from tfnas.errors import ConfigurationError, InvalidArchitectureError, MismatchError
from tfnas.graphs.motifs.two_level import TwoLevelBatch, TwoLevelGraphs, embed_two_level
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import Graphs, pack
from tfnas.saved_models import SHIPPED, load_module


class SavedMotifEncoder:
    """An exported encoder and its motifs.

    Args:
      folder: that `export.export` wrote; by default the encoder that ships with tfnas.

    Attributes:
      folder: that folder.
      manifest: its manifest.
      splitter: cuts graphs into the encoder's motifs.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
      MismatchError: it was trained with operators or settings that this version does not know.
    """

    def __init__(self, folder: artefacts.PathLike | None = None):
        self.folder = pathlib.Path(folder or SHIPPED / "motif_encoder")
        self.manifest: dict[str, Any] = artefacts.read_manifest(self.folder, kind=KIND)
        if self.manifest["operators"] != list(OPERATORS[: len(self.manifest["operators"])]):
            raise MismatchError(f"{self.folder}: trained with operators that this version of tfnas does not know")
        try:
            config = MotifEncoderConfig(**self.manifest["config"])
        except (TypeError, ConfigurationError) as error:
            raise MismatchError(
                f"{self.folder}: settings that this version of tfnas does not know ({error})"
            ) from error
        self.splitter = Splitter.from_arrays(config, artefacts.read_npz(self.folder / MOTIFS_NAME))
        self.module = load_module(self.folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""
        return artefacts.fingerprint(self.manifest)

    def two_level(self, graphs: Graphs) -> TwoLevelGraphs:
        """N graphs cut into the encoder's motifs.

        Raises:
          InvalidArchitectureError: a graph has no operators, or one that the encoder was not trained with.
        """
        packed = pack(graphs)
        largest = int(packed.features[packed.codes, 0].max())
        if largest >= len(self.manifest["operators"]):
            name = OPERATORS[largest]
            raise InvalidArchitectureError(f"{self.folder}: trained before there was an operator {name!r}")
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

"""Exports of encoders that take computation graphs as they are: SavedModels that need nothing but TensorFlow."""

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import base
from tfnas.encoders.base import SavedEncoder, check_operators, check_vocabulary, export_module
from tfnas.graphs.computation_graph import graph_spec, smallest_graph, to_example
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FLAT_SIGNATURE, FlatBatch, Graphs, embed_packed, pack, parse_examples


class GraphModel(Protocol):
    """A model of computation graphs."""

    @property
    def variables(self) -> Any:
        """Every variable."""

    def encode(self, batch: FlatBatch) -> tf.Tensor:
        """Embeddings float32 `[B, D]` of B graphs."""


class _ServingModule(tf.Module):
    """`encode` and `encode_examples` over the model's variables."""

    def __init__(self, name: str, model: GraphModel):
        super().__init__(name=name)
        self.weights = list(model.variables)
        graph_spec()  # read from its file now, not while tracing

        @tf.function(autograph=False, input_signature=FLAT_SIGNATURE)
        def encode(
            nodes: tf.Tensor, node_graph: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, sizes: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(FlatBatch(nodes, node_graph, sources, targets, sizes))}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def encode_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(parse_examples(examples))}

        self.encode = encode
        self.encode_examples = encode_examples


def export_graph_model(
    model: GraphModel, folder: artefacts.PathLike, *, name: str, kind: str, embedding_dim: int, **facts: Any
) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `encode_examples` and `serving_default` (string `[B]`, serialised GraphTensor tf.Examples of
    computation graphs -> `embedding` float32 `[B, D]`), `encode` (the fields of `graphs.packed.FlatBatch` -> the same).

    Args:
      model: the model.
      folder: folder of the export.
      name: name of the module.
      kind: kind in the manifest.
      embedding_dim: D.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    module = _ServingModule(name, model)
    return export_module(
        module,
        folder,
        kind=kind,
        signatures={
            "serving_default": module.encode_examples,
            "encode_examples": module.encode_examples,
            "encode": module.encode,
        },
        example=to_example(smallest_graph()).SerializeToString(deterministic=True),
        operators=list(OPERATORS),
        embedding_dim=embedding_dim,
        **facts,
    )


class Facts(base.Facts):
    """Entries of the manifest of an encoder."""

    operators: list[str]


class SavedGraphModel(SavedEncoder):
    """An exported encoder of computation graphs as they are.

    Args:
      folder: folder of the export.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was trained with operators that this version does not know.
    """

    FACTS = Facts
    CORPUS_KIND = graph_corpora.KIND
    CORPUS_FACTS = graph_corpora.Facts
    SHARED = ("operators",)

    def __init__(self, folder: artefacts.PathLike, *, trust: bool = False):
        super().__init__(folder, trust=trust)
        check_vocabulary(self)

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

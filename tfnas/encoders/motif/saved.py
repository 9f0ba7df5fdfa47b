"""Exports of the motif encoder: a SavedModel that needs nothing but TensorFlow, and the motifs."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder, check_operators, check_vocabulary, export_module
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.model import MotifEncoder
from tfnas.encoders.motif.splitting import Splitter
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.computation_graph import from_example, smallest_graph
from tfnas.graphs.motifs.two_level import TwoLevelBatch, TwoLevelGraphs, embed_two_level, graph_spec, two_level_view
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FlatBatch, Graphs, pack
from tfnas.saved_models import SHIPPED

KIND = KIND_PREFIX + "motif"
MOTIFS_NAME = "motifs.npz"


class _ServingModule(tf.Module):
    """`encode` and `encode_examples` over the model's variables."""

    def __init__(self, model: MotifEncoder):
        super().__init__(name="motif_encoder")
        self.weights = list(model.variables)
        width = model.config.neighbourhood_width
        graph_spec()  # read from its file now, not while tracing

        def numbers(name: str, *shape: int) -> tf.TensorSpec:
            return tf.TensorSpec([None, *shape], tf.int32, name)

        @tf.function(
            autograph=False,
            input_signature=[
                numbers("nodes", 3),
                numbers("node_graph"),
                numbers("sources"),
                numbers("targets"),
                numbers("sizes"),
                numbers("motif"),
                numbers("motif_graph"),
                numbers("motif_sources"),
                numbers("motif_targets"),
                numbers("motif_sizes"),
                tf.TensorSpec([None], tf.float32, "share"),
                tf.TensorSpec([None, width], tf.float32, "neighbourhoods"),
            ],
        )
        def encode(
            nodes: tf.Tensor,
            node_graph: tf.Tensor,
            sources: tf.Tensor,
            targets: tf.Tensor,
            sizes: tf.Tensor,
            motif: tf.Tensor,
            motif_graph: tf.Tensor,
            motif_sources: tf.Tensor,
            motif_targets: tf.Tensor,
            motif_sizes: tf.Tensor,
            share: tf.Tensor,
            neighbourhoods: tf.Tensor,
        ) -> dict[str, tf.Tensor]:
            ops = FlatBatch(nodes, node_graph, sources, targets, sizes)
            macro = FlatBatch(motif_graph, motif_graph, motif_sources, motif_targets, motif_sizes)
            return {"embedding": model.encode(TwoLevelBatch(ops, motif, macro, share, neighbourhoods))}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def encode_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            graphs = tfgnn.parse_example(graph_spec(), examples).merge_batch_to_components()
            return {"embedding": model.encode(two_level_view(graphs, width))}

        self.encode = encode
        self.encode_examples = encode_examples


def export(model: MotifEncoder, splitter: Splitter, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel, the motifs and the manifest; replaces `folder` as a whole once everything is written.

    Signatures: `encode_examples` and `serving_default` (string `[B]`, serialised GraphTensor tf.Examples of the schema
    `macro_graph.pbtxt` -> `embedding` float32 `[B, D]` of length 1), `encode` (the fields of
    `graphs.motifs.two_level.TwoLevelBatch`, without kinds -> the same).

    Args:
      model: the trained model.
      splitter: cutter of the graphs that the model was trained with.
      folder: folder of the export.
      **facts: JSON values for the manifest; `config` is needed to load the encoder.

    Returns:
      The manifest.
    """
    module = _ServingModule(model)
    smallest = splitter(pack([smallest_graph()])).to_graph_tensor()
    return export_module(
        module,
        folder,
        kind=KIND,
        signatures={
            "serving_default": module.encode_examples,
            "encode_examples": module.encode_examples,
            "encode": module.encode,
        },
        example=tfgnn.write_example(smallest).SerializeToString(deterministic=True),
        arrays={MOTIFS_NAME: splitter.arrays()},
        operators=list(OPERATORS),
        embedding_dim=model.config.size,
        **facts,
    )


class SavedMotifEncoder(SavedEncoder):
    """An exported motif encoder and its motifs.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.

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
    FACTS = ("config", "embedding_dim", "operators")
    CORPUS_KIND = graph_corpora.KIND
    SHARED = ("operators",)

    def __init__(self, folder: artefacts.PathLike | None = None):
        super().__init__(folder or SHIPPED / "motif_encoder")
        check_vocabulary(self)
        try:
            config = MotifEncoderConfig(**self.manifest["config"])
        except (TypeError, ConfigurationError) as error:
            raise MismatchError(
                f"{self.folder}: settings that this version of tfnas does not know ({error})"
            ) from error
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

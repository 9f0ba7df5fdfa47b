"""How the motif encoder is exported: a SavedModel that needs nothing but TensorFlow, and the motifs."""

from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.base import export_module
from tfnas.encoders.motif.model import MotifEncoder
from tfnas.encoders.motif.saved import KIND, MOTIFS_NAME
from tfnas.encoders.motif.splitting import Splitter
from tfnas.graphs import gnn
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.motifs.two_level import TwoLevelBatch, graph_spec, two_level_view
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FlatBatch, pack


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
            graphs = gnn.parse_example(graph_spec(), examples).merge_batch_to_components()
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
        example=gnn.write_example(smallest).SerializeToString(deterministic=True),
        arrays={MOTIFS_NAME: splitter.arrays()},
        operators=list(OPERATORS),
        embedding_dim=model.config.size,
        **facts,
    )

"""How the encoder of computation graphs is exported: a SavedModel that needs nothing but TensorFlow."""

from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.base import export_module
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.saved import KIND
from tfnas.graphs.computation_graph import graph_spec, smallest_graph, to_example
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import NUM_FEATURES, FlatBatch, parse_examples


class _ServingModule(tf.Module):
    """`encode` and `encode_examples` over the model's variables."""

    def __init__(self, model: GraphEncoder):
        super().__init__(name="computation_graph_encoder")
        self.weights = list(model.variables)
        graph_spec()  # read from its file now, not while tracing

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, NUM_FEATURES], tf.int32, "nodes"),
                tf.TensorSpec([None], tf.int32, "node_graph"),
                tf.TensorSpec([None], tf.int32, "sources"),
                tf.TensorSpec([None], tf.int32, "targets"),
                tf.TensorSpec([None], tf.int32, "sizes"),
            ],
        )
        def encode(
            nodes: tf.Tensor, node_graph: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, sizes: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(FlatBatch(nodes, node_graph, sources, targets, sizes))}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def encode_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(parse_examples(examples))}

        self.encode = encode
        self.encode_examples = encode_examples


def export(model: GraphEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `encode_examples` and `serving_default` (string `[B]`, serialised GraphTensor tf.Examples of
    computation graphs -> `embedding` float32 `[B, D]`), `encode` (the fields of `graphs.packed.FlatBatch` -> the same).

    Args:
      model: the trained model.
      folder: folder of the export.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    module = _ServingModule(model)
    return export_module(
        module,
        folder,
        kind=KIND,
        signatures={
            "serving_default": module.encode_examples,
            "encode_examples": module.encode_examples,
            "encode": module.encode,
        },
        example=to_example(smallest_graph()).SerializeToString(deterministic=True),
        operators=list(OPERATORS),
        embedding_dim=model.config.embedding_dim,
        **facts,
    )

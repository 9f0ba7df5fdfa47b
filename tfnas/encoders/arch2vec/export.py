"""How arch2vec is exported: a SavedModel that needs nothing but TensorFlow."""

from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.encoders.arch2vec.saved import KIND
from tfnas.encoders.base import export_module
from tfnas.graphs import cells as cell_graphs
from tfnas.spaces import Space


class _ServingModule(tf.Module):
    """`encode`, `encode_examples` and `decode` over the model's variables."""

    def __init__(self, model: Arch2Vec):
        super().__init__(name="arch2vec")
        self.weights = list(model.variables)
        vertices, operations, size = model.num_vertices, model.num_operations, model.config.embedding_dim

        def outputs(ops: tf.Tensor, adjacency: tf.Tensor) -> dict[str, tf.Tensor]:
            embedding, posterior = model.embed(ops, adjacency)
            return {"embedding": embedding, "mean": posterior.mean, "log_variance": 2.0 * posterior.log_stddev}

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, vertices, operations], tf.float32, "ops"),
                tf.TensorSpec([None, vertices, vertices], tf.float32, "adjacency"),
            ],
        )
        def encode(ops: tf.Tensor, adjacency: tf.Tensor) -> dict[str, tf.Tensor]:
            return outputs(ops, adjacency)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def encode_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return outputs(*cell_graphs.dense_view(cell_graphs.parse_examples(examples), vertices, operations))

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, vertices, size], tf.float32, "latent")])
        def decode(latent: tf.Tensor) -> dict[str, tf.Tensor]:
            operation_logits, edge_logits = model.decode(latent)
            if model.config.operation_likelihood == "softmax":
                probabilities = tf.nn.softmax(operation_logits)
            else:
                probabilities = tf.sigmoid(operation_logits)
            upper = tf.linalg.band_part(tf.ones([vertices, vertices]), 0, -1) - tf.eye(vertices)
            return {"operations": probabilities, "adjacency": tf.sigmoid(edge_logits) * upper}

        self.encode = encode
        self.encode_examples = encode_examples
        self.decode = decode


def export(model: Arch2Vec, space: Space, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `encode` and `serving_default` (`ops` float32 `[B, V, O]`, `adjacency` float32 `[B, V, V]` ->
    `embedding` `[B, D]`, `mean` and `log_variance` `[B, V, D]`), `encode_examples` (string `[B]`, serialised
    GraphTensor tf.Examples, same outputs), `decode` (`latent` `[B, V, D]` -> probabilities `operations` `[B, V, O]`
    and `adjacency` `[B, V, V]`).

    Args:
      model: the trained model.
      space: the space it was trained on.
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
            "serving_default": module.encode,
            "encode": module.encode,
            "encode_examples": module.encode_examples,
            "decode": module.decode,
        },
        example=cell_graphs.smallest_example(),
        space=space.name,
        operations=list(space.operations),
        num_vertices=model.num_vertices,
        embedding_dim=model.config.embedding_dim,
        **facts,
    )

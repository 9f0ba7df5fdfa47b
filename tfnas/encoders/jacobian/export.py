"""How the Jacobian encoder is exported: a SavedModel that needs nothing but TensorFlow."""

import dataclasses
from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.base import export_module
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.jacobian.program import FINE, Inputs, description_tensors
from tfnas.encoders.jacobian.saved import KIND, takes_jacobians


class _ServingModule(tf.Module):
    """`embed` and `embed_descriptions` over the model's variables."""

    def __init__(self, model: JacobianEncoder, rows: int, components: int, frequencies: int, image_shape: list[int]):
        super().__init__(name="jacobian_encoder")
        self.weights = list(model.variables)
        height, width, channels = image_shape

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, rows, components], tf.float32, "directions"),
                tf.TensorSpec([None, components], tf.float32, "scales"),
                tf.TensorSpec([None, rows], tf.float32, "correlations"),
                tf.TensorSpec([None, frequencies], tf.float32, "frequencies"),
            ],
        )
        def embed_descriptions(
            directions: tf.Tensor, scales: tf.Tensor, correlations: tf.Tensor, frequencies: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(Inputs(directions, scales, correlations, frequencies))}

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([None, rows, height * width * channels], tf.float32, "jacobians")],
        )
        def embed(jacobians: tf.Tensor) -> dict[str, tf.Tensor]:
            kinds = (tf.float32, tf.float32, tf.float32, tf.float32, tf.int32)
            *descriptions, state = tf.map_fn(
                lambda one: description_tensors(one, tf.constant(height), tf.constant(width), tf.constant(components)),
                jacobians,
                fn_output_signature=kinds,
            )
            embedding = model.encode(Inputs(*descriptions))
            return {"embedding": tf.where((state == FINE)[:, None], embedding, float("nan")), "state": state}

        self.embed = embed
        self.embed_descriptions = embed_descriptions


def export(model: JacobianEncoder, folder: artefacts.PathLike, corpus: JacobianCorpus, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `embed` and `serving_default` (`jacobians` float32 `[B, N, pixels]` -> `embedding` float32 `[B, D]`, NaN
    where `state` int32 `[B]` is not 0, see `encoders.jacobian.program`), `embed_descriptions` (`directions`
    `[B, N, k]`,
    `scales` `[B, k]`, `correlations` `[B, N]`, `frequencies` `[B, F]` -> `embedding`). An encoder of random projections
    or of Jacobians of classes has the last one alone.

    Args:
      model: the trained model.
      folder: folder of the export.
      corpus: training data, which have the shapes.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    image_shape = list(corpus.images.shape[1:])
    rows, components = corpus.directions.shape[2:]
    module = _ServingModule(model, rows, components, corpus.frequencies.shape[-1], image_shape)
    signatures = {"embed_descriptions": module.embed_descriptions}
    if takes_jacobians(corpus.config):
        signatures |= {"serving_default": module.embed, "embed": module.embed}
    return export_module(
        module,
        folder,
        kind=KIND,
        signatures=signatures,
        rows=rows,
        components=components,
        image_shape=image_shape,
        embedding_dim=model.config.embedding_dim,
        jacobians=dataclasses.asdict(corpus.config),
        **facts,
    )

"""Exports a trained encoder as a SavedModel that needs nothing but TensorFlow."""

import dataclasses
from typing import Any

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.model import Inputs, JacobianEncoder
from tfnas.encoders.jacobian.program import FINE, description_tensors
from tfnas.encoders.saved import KIND_PREFIX
from tfnas.saved_models import save_module

KIND = KIND_PREFIX + "jacobian"


class ServingModule(tf.Module):
    """`embed` and `embed_descriptions` over the model's variables."""

    def __init__(self, model: JacobianEncoder, rows: int, components: int, frequencies: int, image_shape: list[int]):
        super().__init__(name="jacobian_encoder")
        self.weights = list(model.variables)
        height, width, channels = image_shape

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, rows, components], tf.float32, "directions"),
                tf.TensorSpec([None, components], tf.float32, "scales"),
                tf.TensorSpec([None, rows], tf.float32, "correlations"),
                tf.TensorSpec([None, frequencies], tf.float32, "frequencies"),
            ]
        )
        def embed_descriptions(
            directions: tf.Tensor, scales: tf.Tensor, correlations: tf.Tensor, frequencies: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return {"embedding": model.encode(Inputs(directions, scales, correlations, frequencies))}

        @tf.function(input_signature=[tf.TensorSpec([None, rows, height * width * channels], tf.float32, "jacobians")])
        def embed(jacobians: tf.Tensor) -> dict[str, tf.Tensor]:
            kinds = (tf.float32, tf.float32, tf.float32, tf.float32, tf.int32)
            *parts, state = tf.map_fn(
                lambda one: description_tensors(one, tf.constant(height), tf.constant(width), tf.constant(components)),
                jacobians,
                fn_output_signature=kinds,
            )
            embedding = model.encode(Inputs(*parts))
            return {"embedding": tf.where((state == FINE)[:, None], embedding, float("nan")), "state": state}

        self.embed = embed
        self.embed_descriptions = embed_descriptions


def takes_jacobians(config: JacobianConfig) -> bool:
    """Whether embeddings can be had of plain Jacobians: rows are images, projected to their own leading directions."""
    return config.projection == "leading" and config.outputs == "sum"


def export(model: JacobianEncoder, folder: artefacts.PathLike, corpus: JacobianCorpus, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `embed` and `serving_default` (`jacobians` float32 `[B, N, pixels]` -> `embedding` float32 `[B, D]`, NaN
    where `state` int32 `[B]` is not 0, see `encoders.jacobian.program`), `embed_descriptions` (`directions`
    `[B, N, k]`,
    `scales` `[B, k]`, `correlations` `[B, N]`, `frequencies` `[B, F]` -> `embedding`). An encoder of random projections
    or of Jacobians of classes has the last one alone.

    Args:
      model: the trained model.
      folder: where.
      corpus: that it was trained with, for the shapes.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    image_shape = list(corpus.images.shape[1:])
    rows, components = corpus.directions.shape[2:]
    module = ServingModule(model, rows, components, corpus.frequencies.shape[-1], image_shape)
    with artefacts.atomic_folder(folder) as staging:
        signatures = {"embed_descriptions": module.embed_descriptions}
        if takes_jacobians(corpus.config):
            signatures |= {"serving_default": module.embed, "embed": module.embed}
        save_module(module, staging, signatures)
        return artefacts.write_manifest(
            staging,
            kind=KIND,
            rows=rows,
            components=components,
            image_shape=image_shape,
            embedding_dim=model.config.embedding_dim,
            jacobians=dataclasses.asdict(corpus.config),
            **facts,
        )

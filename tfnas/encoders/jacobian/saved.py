"""An exported encoder of Jacobians: embeddings of corpora, of Jacobians, and of any Keras model."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.export import KIND, takes_jacobians
from tfnas.encoders.jacobian.pretrain import mask
from tfnas.encoders.jacobian.program import JacobianProgram
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.saved_models import SHIPPED, load_module

_CHUNK = 512


class SavedJacobianEncoder:
    """An exported encoder.

    Args:
      folder: that `export.export` wrote; by default the encoder that ships with tfnas.

    Attributes:
      folder: that folder.
      manifest: its manifest.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
    """

    def __init__(self, folder: artefacts.PathLike | None = None):
        self.folder = pathlib.Path(folder or SHIPPED / "jacobian_encoder")
        self.manifest: dict[str, Any] = artefacts.read_manifest(self.folder, kind=KIND)
        self._config = JacobianConfig(**self.manifest["jacobians"])
        self._module = load_module(self.folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""
        return artefacts.fingerprint(self.manifest)

    def embed_jacobians(self, jacobians: np.ndarray | tf.Tensor) -> np.ndarray:
        """Embeddings float32 `[B, D]` of Jacobians float32 `[B, N, pixels]`; NaN for those zero or not finite.

        Raises:
          MismatchError: Jacobians of another shape than those that the encoder was trained with, or it was trained with
            random projections or Jacobians of classes.
        """
        if not takes_jacobians(self._config):
            raise MismatchError(f"{self.folder}: trained with {self._config}, expected leading directions of sums")
        pixels = int(np.prod(self.manifest["image_shape"]))
        if jacobians.ndim != 3 or tuple(jacobians.shape[1:]) != (self.manifest["rows"], pixels):
            raise MismatchError(
                f"{self.folder}: Jacobians {tuple(jacobians.shape)}, expected [B, {self.manifest['rows']}, {pixels}]"
            )
        return self._module.embed(tf.cast(jacobians, tf.float32))["embedding"].numpy()

    def embed(self, corpus: JacobianCorpus) -> np.ndarray:
        """Embeddings float32 `[M, A, D]` of a corpus; NaN for Jacobians that are zero or not finite.

        Raises:
          MismatchError: Jacobians of another shape than those that the encoder was trained with.
        """
        expected = (self.manifest["rows"], self.manifest["components"])
        if corpus.directions.shape[2:] != expected:
            raise MismatchError(f"{self.folder}: projections {corpus.directions.shape[2:]}, expected {expected}")
        flat = [
            part.reshape(-1, *part.shape[2:]).astype(np.float32)
            for part in (corpus.directions, corpus.scales, corpus.correlations, corpus.frequencies)
        ]
        parts = [
            self._module.embed_descriptions(*(part[start : start + _CHUNK] for part in flat))["embedding"].numpy()
            for start in range(0, corpus.state.size, _CHUNK)
        ]
        return mask(np.concatenate(parts), corpus.state.ravel()).reshape(*corpus.state.shape, -1)

    def embed_model(
        self,
        model: Any,
        images: np.ndarray,
        *,
        initializations: int = 4,
        rule: str | None = "trained",
        seed: int = 0,
    ) -> np.ndarray:
        """Embeddings float32 `[A, D]` of a Keras model in A initialisations; the model itself is not changed.

        Args:
          model: a built model of Keras 3 or tf_keras, from images to logits or probabilities.
          images: float32 `[N, height, width, channels]`, as many and of the shape that the encoder was trained with,
            standardised alike.
          initializations: A.
          rule: how weights are drawn, of `jacobian_config.RULES`, or `trained` for the rule of the encoder's training;
            None takes the model's own weights, once.
          seed: of the weights.

        Raises:
          ConfigurationError: unusable images, or a model that does not return logits or whose output does not depend
            on the images.
          MismatchError: images of another shape.
        """
        images = np.asarray(images, np.float32)
        expected = (self.manifest["rows"], *self.manifest["image_shape"])
        if images.shape != expected:
            raise MismatchError(f"{self.folder}: images {images.shape}, expected {expected}")
        program = JacobianProgram(model, rule=self._config.initialization if rule == "trained" else rule)
        count = 1 if rule is None else initializations
        jacobians = tf.stack([program.jacobian(images, (seed, number * 2**20)) for number in range(count)])
        embeddings = self.embed_jacobians(jacobians)
        if np.isnan(embeddings).any():
            zero = not np.any(jacobians.numpy())
            reason = "its output does not depend on the images" if zero else "its Jacobian is zero or not finite"
            raise ConfigurationError(f"model {model.name!r} can't be embedded: {reason}")
        return embeddings

"""Exported Jacobian encoders: embeddings of corpora, of Jacobians, and of any Keras model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders import base
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.program import Inputs, JacobianProgram, mask
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.saved_models import SHIPPED
from tfnas.typed import Natural, instance

KIND = KIND_PREFIX + "jacobian"
_CHUNK = 512


def takes_jacobians(config: JacobianConfig) -> bool:
    """Whether an encoder embeds plain Jacobians: rows are images, projected to the Jacobian's leading directions."""
    return config.projection == "leading" and config.outputs == "sum"


class Facts(base.Facts):
    """Entries of the manifest of an encoder."""

    components: Natural
    image_shape: tuple[Natural, Natural, Natural]
    jacobians: dict[str, Any]
    rows: Natural


def model_jacobians(
    model: Any, images: np.ndarray, count: int, rule: str | None, seed: int, *, compiled: bool = True
) -> tf.Tensor:
    """Jacobians float32 `[count, N, pixels]` of a Keras model in several initialisations; see `JacobianProgram`."""
    program = JacobianProgram(model, rule=rule, compiled=compiled)
    return tf.stack([program.jacobian(images, (seed, number * 2**20)) for number in range(count)])


class SavedJacobianEncoder(SavedEncoder):
    """An exported encoder of Jacobians.

    Args:
      folder: folder of the export; the encoder that ships with tfnas by default.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder was trained on Jacobians of a kind that this version does not know.

    Example:
      >>> SavedJacobianEncoder().embed_jacobians(np.ones((1, 64, 32 * 32 * 3), np.float32)).shape
      (1, 128)
    """

    KIND = KIND
    FACTS = Facts
    CORPUS_KIND = jacobian_corpus.KIND
    CORPUS_FACTS = jacobian_corpus.Facts
    SHARED = ()
    FINITE = False

    def __init__(self, folder: artefacts.PathLike | None = None, *, trust: bool = False):
        super().__init__(folder or SHIPPED / "jacobian_encoder", trust=trust)
        self._config = instance(JacobianConfig, self.manifest["jacobians"], f"{self.folder}: jacobians")

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
        return self.module.embed(tf.cast(jacobians, tf.float32))["embedding"].numpy()

    def embed(self, corpus: JacobianCorpus) -> np.ndarray:
        """Embeddings float32 `[M, A, D]` of a corpus; NaN for Jacobians that are zero or not finite.

        Raises:
          MismatchError: Jacobians of another shape than those that the encoder was trained with.
        """
        arrays = (corpus.directions, corpus.scales, corpus.correlations, corpus.frequencies)
        return self._embed(arrays, corpus.state)

    def embed_records(self, records: tf.Tensor) -> np.ndarray:
        """Embeddings float32 `[B, D]` of the records of a corpus, means over initialisations."""
        parsed = [jacobian_corpus.Record.parsed(record) for record in records.numpy()]
        arrays = [np.stack([record.arrays[name] for record in parsed]) for name in Inputs._fields]
        return self._embed(arrays, np.stack([record.state for record in parsed])).mean(axis=1)

    def _embed(self, arrays: Sequence[np.ndarray], state: np.ndarray) -> np.ndarray:
        """Embeddings float32 `[M, A, D]` of the arrays `[M, A, ...]` of `Inputs`; NaN unless `state` is fine."""
        expected = (self.manifest["rows"], self.manifest["components"])
        if arrays[0].shape[2:] != expected:
            raise MismatchError(f"{self.folder}: projections {arrays[0].shape[2:]}, expected {expected}")
        flat = [array.reshape(-1, *array.shape[2:]).astype(np.float32) for array in arrays]
        embeddings = [
            self.module.embed_descriptions(*(array[start : start + _CHUNK] for array in flat))["embedding"].numpy()
            for start in range(0, state.size, _CHUNK)
        ]
        return mask(np.concatenate(embeddings), state.ravel()).reshape(*state.shape, -1)

    @staticmethod
    def shard_rows(corpus: Mapping[str, Any]) -> list[range]:
        total, size = corpus["architectures"], corpus["config"]["shard_size"]
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    @classmethod
    def read_corpus(cls, folder: artefacts.PathLike) -> dict[str, Any]:
        return jacobian_corpus.read_manifest(folder, check_files=False)[0]

    @classmethod
    def mismatch(cls, manifest: Mapping[str, Any], corpus: Mapping[str, Any]) -> str | None:
        reason = super().mismatch(manifest, corpus)
        if reason is None:
            for name in ("outputs", "projection", "components"):
                trained, computed = manifest["jacobians"][name], corpus["config"][name]
                if trained != computed:
                    return f"Jacobians with {name}={computed}, expected the encoder's {name}={trained}"
        return reason

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
          images: float32 `[N, height, width, channels]`, of the number and the shape that the encoder was trained with,
            standardised in the same way.
          initializations: A.
          rule: rule of `networks.rules.RULES` by which weights are drawn; `trained`, the default, is the rule of the
            encoder's training, and None takes the model's present weights, once.
          seed: seed of the weights.

        Raises:
          ConfigurationError: unusable images, or a model that does not return logits or whose output does not depend
            on the images.
          MismatchError: images of another shape.
        """
        images = np.asarray(images, np.float32)
        expected = (self.manifest["rows"], *self.manifest["image_shape"])
        if images.shape != expected:
            raise MismatchError(f"{self.folder}: images {images.shape}, expected {expected}")
        rule = self._config.initialization if rule == "trained" else rule
        jacobians = model_jacobians(model, images, 1 if rule is None else initializations, rule, seed)
        embeddings = self.embed_jacobians(jacobians)
        if np.isnan(embeddings).any():
            zero = not np.any(jacobians.numpy())
            reason = "its output does not depend on the images" if zero else "its Jacobian is zero or not finite"
            raise ConfigurationError(f"model {model.name!r} can't be embedded: {reason}")
        return embeddings

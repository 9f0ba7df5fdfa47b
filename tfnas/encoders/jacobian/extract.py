"""Corpora of Jacobians from a sampled space to a summary: what `trainers.extract_jacobians` runs."""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.benchmarks.trained.images import Labelled
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.reports import tables
from tfnas.spaces import get_space


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of an extraction.

    Attributes:
      space: name of the space.
      count: number M of architectures; no two cells of NAS-Bench-201 compute the same function.
      data: path of the images, see `benchmarks.trained.images.load_images`.
      num_images: number N of images.
      seed: seed of architectures, initial weights and images.
      config: settings of the computation.
    """

    space: str
    count: int
    data: str
    num_images: int
    seed: int
    config: JacobianConfig


def run(settings: Settings, batch: Labelled, output_dir: pathlib.Path) -> str:
    """Writes `corpus/` and `summary.json`.

    Args:
      settings: settings of the extraction.
      batch: images and labels of `batch_of_images` for the settings.
      output_dir: an existing folder.

    Returns:
      A table of how many Jacobians are fine, zero, and not finite.
    """
    images, labels = batch
    space = get_space(settings.space)
    totals = jacobian_corpus.extract(
        space,
        space.sample_functions(settings.count, np.random.default_rng(settings.seed)),
        images,
        settings.config,
        output_dir / "corpus",
        seed=settings.seed,
        devices=available_devices(),
        num_classes=max(10, int(labels.max()) + 1),
    )
    artefacts.write_json(output_dir / "summary.json", {"space": space.name, "architectures": settings.count, **totals})
    return tables.markdown(["Jacobians", "number"], [[name, str(count)] for name, count in totals.items()])


def available_devices() -> list[str]:
    """Where networks run side by side: every GPU, or every logical CPU (see `runtime.one_device_per_core`)."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]

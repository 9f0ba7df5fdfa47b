"""Embeddings for TensorBoard's projector: `tensorboard --logdir FOLDER` shows them with their labels."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from tensorboard.plugins import projector

from tfnas import artefacts


def write(
    folder: pathlib.Path, name: str, embeddings: np.ndarray, labels: Mapping[str, Sequence[str | int | float]]
) -> None:
    """Writes vectors and labels as tab-separated text, and the projector's configuration.

    Args:
      folder: folder for TensorBoard; it appears as a whole.
      name: name of the embedding.
      embeddings: float `[N, D]`.
      labels: columns of N entries each; tabs and line breaks in entries become blanks.
    """
    with artefacts.atomic_folder(folder) as staging:
        np.savetxt(staging / "vectors.tsv", embeddings, fmt="%.6g", delimiter="\t")
        lines = ["\t".join(labels)] if len(labels) > 1 else []  # the projector takes one column without a heading
        lines += [
            "\t".join(" ".join(str(entry).split()) for entry in row) for row in zip(*labels.values(), strict=True)
        ]
        (staging / "labels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        config = projector.ProjectorConfig()
        config.embeddings.add(tensor_name=name, tensor_path="vectors.tsv", metadata_path="labels.tsv")
        projector.visualize_embeddings(str(staging), config)

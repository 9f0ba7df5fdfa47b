"""The once-for-all MobileNetV3 space: the search of the paper with an evaluator that trains small networks.

The paper's evaluator is the pretrained supernet on ImageNet, which can't be had here. This experiment shows the search,
not its numbers: every query trains the network, a quarter as wide, on handwritten digits for a few epochs.

References:
  Han et al. 2023, section 5.3 (79.2 % top-1 on ImageNet with the supernet's weights).
"""

import pathlib

import numpy as np
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from reproductions import report
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.networks.mobilenetv3 import MobileNetV3Network, MobileNetV3Skeleton
from tfnas.reports import figures
from tfnas.search.guided import GuidedEvolution
from tfnas.search.guides import predictor_guide
from tfnas.search.loop import run_search
from tfnas.search.open_candidates import OpenCandidates
from tfnas.spaces import Architecture, MobileNetV3

_IMAGE_SIZE = 32
_QUERIES = 20  # networks that are trained
_LABELS = 10  # queries that are drawn at random
_WIDTH = 0.25  # of the networks


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `table4.png`.

    Args:
      output_dir: an existing folder.
      settings: seed of the search.
    """
    space = MobileNetV3()
    evaluator = TrainedEvaluator(space, _network, _digits(), TrainedConfig(epochs=4), network={"width": _WIDTH})
    folder = output_dir / "searches" / "mobilenetv3"
    folder.mkdir(parents=True, exist_ok=True)
    evaluator.keep_in(folder / "trained.jsonl")
    evaluator.batch = 5
    candidates = OpenCandidates(space)
    strategy = GuidedEvolution(
        candidates, [settings.seed], predictor_guide(candidates), labels=_LABELS, batch=5, refit_every=5
    )
    with tqdm(total=_QUERIES, desc="mobilenetv3", unit="query") as bar:
        history = run_search(strategy, evaluator, _QUERIES, folder, bar)
    scores = history.scores
    best = int(history.best[0])
    architecture = candidates.architecture(int(history.rows[0, best]))
    first, rest = scores.validation[0, :_LABELS], scores.validation[0, _LABELS:]
    values = {
        "seed": settings.seed,
        "validation": scores.validation[0].tolist(),
        "best": space.to_string(architecture),
        "best_validation": float(scores.validation[0, best]),
        "best_test": float(scores.test[0, best]),
        "seconds": float(scores.cost_seconds.sum()),
    }
    rows = [
        ["random queries", f"{_LABELS}", report.percent(first.mean(), first.std()), report.percent(first.max())],
        ["guided queries", f"{len(rest)}", report.percent(rest.mean(), rest.std()), report.percent(rest.max())],
    ]
    comparison = [
        f"Best: {values['best']}, test {report.percent(values['best_test'])} %, among {_QUERIES} trained networks.",
        "Published, with the pretrained supernet on ImageNet: OFA-MBv3-CL 79.2, OFA-Large 79.0, OFA-Base 78.9 % top-1.",
    ]
    figures.search_curves(
        {"guided evolution": scores.validation}, output_dir / "table4.png", title="MobileNetV3, digits"
    )
    columns = ["MobileNetV3 on digits", "networks", "mean validation %", "best %"]
    title = "Search in the once-for-all MobileNetV3 space with an evaluator of one's own"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


def _network(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> tf_keras.Model:
    return MobileNetV3Network(MobileNetV3Skeleton(num_classes=num_classes, width=_WIDTH), architecture)


def _digits() -> ImageData:
    """Digits, resized because the network halves its input five times."""
    digits = ImageData.digits(train_images=600)

    def resized(images: np.ndarray) -> np.ndarray:
        return tf.image.resize(images, (_IMAGE_SIZE, _IMAGE_SIZE)).numpy()

    splits = [(resized(images), labels) for images, labels in (digits.train, digits.validation, digits.test)]
    return ImageData(*splits, num_classes=digits.num_classes)

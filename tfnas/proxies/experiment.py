"""Zero-cost scores of sampled or listed architectures, or of one model: what `trainers.score_proxies` calls."""

import dataclasses
import pathlib

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks.trained.images import Labelled
from tfnas.corpora import cell_sources
from tfnas.errors import ConfigurationError, TfnasError
from tfnas.graphs.importers.keras_files import read_keras_file
from tfnas.networks.initialization import draw_weights
from tfnas.proxies.scores import ProxyProgram, check_proxies
from tfnas.proxies.spaces import scorer
from tfnas.proxies.tables import score_cells
from tfnas.reports import tables
from tfnas.spaces import NONE, get_space


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the scoring.

    Attributes:
      space: name of the search space to sample; None for a model.
      count: number of architectures to sample.
      architectures: path of a text file with an architecture per line, which are scored instead of a sample; or None.
      without_none: whether cells with the operation `none` are left out.
      model: path of a `.keras` file; None for a space.
      data: path of the images, see `benchmarks.trained.images.load_images`.
      batch_size: number of images that a score is taken of.
      proxies: names of scores, of `PROXIES`.
      seed: seed of architectures, initial weights and images.

    Raises:
      ConfigurationError: neither a space nor a model, or both, or an unknown score, or a file without its space.
    """

    space: str | None
    count: int
    architectures: str | None
    without_none: bool
    model: str | None
    data: str
    batch_size: int
    proxies: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        if (self.space is None) == (self.model is None):
            raise ConfigurationError("pass either --space or --model")
        if self.architectures is not None and (self.space is None or self.without_none):
            raise ConfigurationError("--architectures goes with --space, and without --without_none")
        check_proxies(self.proxies)


def run(settings: Settings, batch: Labelled, output_dir: pathlib.Path) -> str:
    """Scores, and writes `summary.json` and `scores.md`; for a space also `scores.npz` and `scores.jsonl`.

    Args:
      settings: settings of the scoring.
      batch: images and labels of `batch_of_images` for the settings.
      output_dir: an existing folder.

    Returns:
      The table: the scores of the model, or the quartiles of those of the architectures.
    """
    images, labels = batch
    if settings.model is not None:
        values = _model_scores(settings, images, labels)
        text = tables.markdown(["score", "value"], [[name, f"{value:.6g}"] for name, value in values.items()])
        summary = {name: value if np.isfinite(value) else None for name, value in values.items()}
    else:
        space = get_space(settings.space)
        rng = np.random.default_rng(settings.seed)
        if settings.without_none and NONE not in space.operations:
            raise ConfigurationError(f"{space.name} has no cells with {NONE!r} that could be left out")
        if settings.architectures is not None:
            cells = cell_sources.read_architectures(space, settings.architectures)
        elif settings.without_none:
            cells = space.sample_without(NONE, settings.count, rng)
        else:
            cells = space.sample(settings.count, rng)
        score = scorer(space, images, labels, settings.proxies, settings.seed)
        facts = {"source": "tfnas.proxies", "seed": settings.seed, "batch_size": settings.batch_size}
        columns = score_cells(space, cells, score, output_dir, **facts)
        quartiles = {
            name: np.nanquantile(values, (0.25, 0.5, 0.75)).tolist() if np.isfinite(values).any() else [None] * 3
            for name, values in columns.items()
        }
        rows = [
            [
                name,
                *("none" if value is None else f"{value:.4g}" for value in quartiles[name]),
                f"{np.isnan(values).sum()}",
            ]
            for name, values in columns.items()
        ]
        text = tables.markdown(["score", "lower quartile", "median", "upper quartile", "not finite"], rows)
        summary = {"networks": len(cells), "quartiles": quartiles}
    artefacts.write_text(output_dir / "scores.md", text + "\n")
    artefacts.write_json(output_dir / "summary.json", summary)
    return text


def _model_scores(settings: Settings, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores of the model of a file, with fresh weights."""
    model = read_keras_file(settings.model).build()
    if not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConfigurationError(f"{settings.model}: expected a built model with one input and one output")
    expected = tuple(model.inputs[0].shape[1:])
    if len(expected) != 3 or any(
        size not in (None, given) for size, given in zip(expected, images.shape[1:], strict=True)
    ):
        raise ConfigurationError(f"{settings.model}: takes {expected}, the images are {images.shape[1:]}")
    if labels.max() >= (model.outputs[0].shape[-1] or 0):
        raise ConfigurationError(
            f"{settings.model}: {model.outputs[0].shape[-1]} outputs, the images have {labels.max() + 1} classes"
        )
    draw_weights(model, settings.seed)
    try:
        return ProxyProgram(model, settings.proxies, compiled=False).scores(images, labels)
    except TfnasError:
        raise
    except Exception as error:  # Keras and TensorFlow raise many classes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(f"{settings.model}: its layers can't be scored ({reason})") from error

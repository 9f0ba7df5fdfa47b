"""Zero-cost scores of sampled or listed architectures, or of models: what `trainers.score_proxies` calls."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.benchmarks.trained.images import Labelled
from tfnas.corpora import cell_sources
from tfnas.errors import ConfigurationError, TfnasError
from tfnas.graphs.importers import import_model
from tfnas.graphs.importers.keras_files import read_keras_file
from tfnas.networks.initialization import draw_weights
from tfnas.networks.models import named_models
from tfnas.networks.rewiring import all_layers, is_preprocessing
from tfnas.proxies.scores import ProxyProgram, check_proxies
from tfnas.proxies.spaces import scorer
from tfnas.proxies.standing import BATCH_SIZE, IMAGE_SHAPE, SIZES, cell_scores, percentiles
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
      models: `.keras` files, or folders with such files; empty for a space.
      data: path of the images, see `benchmarks.trained.images.load_images`.
      batch_size: number of images that a score is taken of.
      proxies: names of scores, of `PROXIES`.
      seed: seed of architectures, initial weights and images.
      raw_pixels: whether a model gets the pixels of the file, not standardised ones; None refuses a model with layers
        that preprocess, or with an input of whole numbers.

    Raises:
      ConfigurationError: neither a space nor a model, or both, or an unknown score, or a file without its space.
    """

    space: str | None
    count: int
    architectures: str | None
    without_none: bool
    models: tuple[str, ...]
    data: str
    batch_size: int
    proxies: tuple[str, ...]
    seed: int
    raw_pixels: bool | None = None

    def __post_init__(self) -> None:
        if (self.space is None) == (not self.models):
            raise ConfigurationError("pass either --space or --model")
        if self.architectures is not None and (self.space is None or self.without_none):
            raise ConfigurationError("--architectures goes with --space, and without --without_none")
        if self.space is not None and self.raw_pixels:
            raise ConfigurationError("--raw_pixels goes with --model")
        check_proxies(self.proxies)


def run(settings: Settings, batch: Labelled, output_dir: pathlib.Path) -> str:
    """Scores, and writes `summary.json` and `scores.md`; for a space also `scores.npz` and `scores.jsonl`.

    Args:
      settings: settings of the scoring.
      batch: images and labels of `batch_of_images` for the settings.
      output_dir: an existing folder.

    Returns:
      The table: the scores of each model with their percentiles among the shipped cells, models with the highest
      mean percentile of the scores first; or the quartiles of the scores of the architectures.
    """
    images, labels = batch
    if settings.models:
        text, summary = _ranking(settings, images, labels)
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


def _ranking(settings: Settings, images: np.ndarray, labels: np.ndarray) -> tuple[str, dict]:
    """Table and records of the models."""
    comparable = len(images) == BATCH_SIZE and images.shape[1:] == IMAGE_SHAPE
    records: list[dict[str, Any]] = []
    for path in named_models(settings.models):
        if not isinstance(path, pathlib.Path):
            raise ConfigurationError(f"--model={path}: expected .keras files or folders of them")
        values = _model_scores(path, settings, images, labels)
        records.append({"model": str(path), "values": values, "percentiles": percentiles(values) if comparable else {}})
    records.sort(key=lambda record: _mean_percentile(record["percentiles"]), reverse=True)
    rows = []
    for record in records:
        for name, value in record["values"].items():
            share = record["percentiles"].get(name, float("nan"))
            cells = [name, f"{value:.6g}", f"{share:.1f}" if np.isfinite(share) else "none"]
            rows.append([record["model"], *cells] if len(records) > 1 else cells)
    heads = ["score", "value", "percentile"]
    text = tables.markdown(["model", *heads] if len(records) > 1 else heads, rows)
    if comparable:
        text += (
            f"\n\nPercentile among {len(cell_scores()['parameters'])} cells of NAS-Bench-201, scored on {BATCH_SIZE} "
            "CIFAR-10 images; scores of other images or classes are comparable only roughly."
        )
    else:
        text += (
            f"\n\nNo percentile: {len(images)} images {images.shape[1:]}, the shipped cells were scored on "
            f"{BATCH_SIZE} of {IMAGE_SHAPE}."
        )
    for record in records:
        for kind in ("values", "percentiles"):
            record[kind] = {name: value if np.isfinite(value) else None for name, value in record[kind].items()}
    return text, {"models": records}


def _mean_percentile(shares: dict[str, float]) -> float:
    """Mean over the scores, without the sizes; a score that is not finite counts as 0. -1 without any score."""
    scores = [value for name, value in shares.items() if name not in SIZES]
    return float(np.mean(np.nan_to_num(scores))) if scores else -1.0


def _model_scores(path: pathlib.Path, settings: Settings, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores of the model of a file, with fresh weights, and its sizes."""
    model = read_keras_file(path).build()
    if not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConfigurationError(f"{path}: expected a built model with one input and one output")
    if settings.raw_pixels is None:
        kinds = [type(layer).__name__ for layer in all_layers(model) if is_preprocessing(layer)]
        kinds += [f"an input of {tf.as_dtype(model.inputs[0].dtype).name}"] * tf.as_dtype(
            model.inputs[0].dtype
        ).is_integer
        if kinds:
            raise ConfigurationError(
                f"{path}: the model preprocesses its images itself ({kinds[0]}), and the images are standardised; "
                "pass --raw_pixels to feed the pixels of --data, or --noraw_pixels for standardised ones"
            )
    expected = tuple(model.inputs[0].shape[1:])
    if len(expected) != 3 or any(
        size not in (None, given) for size, given in zip(expected, images.shape[1:], strict=True)
    ):
        raise ConfigurationError(f"{path}: takes {expected}, the images are {images.shape[1:]}")
    if labels.max() >= (model.outputs[0].shape[-1] or 0):
        raise ConfigurationError(
            f"{path}: {model.outputs[0].shape[-1]} outputs, the images have {labels.max() + 1} classes"
        )
    draw_weights(model, settings.seed)
    try:
        values = ProxyProgram(model, settings.proxies).scores(images, labels)
    except TfnasError:
        raise
    except Exception as error:  # Keras and TensorFlow raise many classes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(f"{path}: its layers can't be scored ({reason})") from error
    graph = import_model(model)
    return values | dict(zip(SIZES, (float(graph.parameters.sum()), float(graph.multiply_adds.sum())), strict=True))

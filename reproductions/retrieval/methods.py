"""Baselines of retrieval, and the training of encoders in processes of their own."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfTransformer

from reproductions import processes
from reproductions.retrieval import data
from reproductions.retrieval.settings import Settings
from reproductions.retrieval.splits import Split
from tfnas import artefacts
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.model import MotifEncoder
from tfnas.encoders.motif.task import MotifPretraining
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.mining import MotifVocabulary
from tfnas.graphs.motifs.two_level import embed_two_level
from tfnas.graphs.motifs.weisfeiler_lehman import colour_counts
from tfnas.retrieval.collection import Collection


def histogram(collection: Collection, _: np.ndarray) -> np.ndarray:
    """How often each operator with its kernel occurs."""
    return colour_counts(collection.graphs, 0)[0][0]


def weisfeiler_lehman(collection: Collection, _: np.ndarray) -> scipy.sparse.csr_array:
    """The subtree kernel of three rounds, as features."""
    return scipy.sparse.hstack(colour_counts(collection.graphs, 3)[0], format="csr")


def distinct_colours(collection: Collection, _: np.ndarray) -> scipy.sparse.csr_array:
    """Whether each colour of the subtree kernel occurs."""
    colours = weisfeiler_lehman(collection, _)
    colours.data = np.minimum(colours.data, 1)
    return colours


def bag_of_motifs(collection: Collection, train_rows: np.ndarray) -> scipy.sparse.csr_array:
    """How often each motif occurs, weighted by how few training graphs hold it."""
    macro = MotifVocabulary.mined(MotifConfig(steps=1, max_length=8), collection.graphs[train_rows]).split(
        collection.graphs
    )
    kinds, columns = np.unique(macro.kind, return_inverse=True)
    entries = (np.ones(len(columns)), (macro.graph, columns.ravel()))
    counts = scipy.sparse.csr_array(entries, shape=(len(collection), len(kinds)))
    return TfidfTransformer(sublinear_tf=True).fit(counts[train_rows]).transform(counts)


BASELINES: dict[str, Callable[[Collection, np.ndarray], Any]] = {
    "operator histogram": histogram,
    "Weisfeiler-Lehman kernel": weisfeiler_lehman,
    "distinct Weisfeiler-Lehman colours": distinct_colours,
    "bag of motifs": bag_of_motifs,
}


@dataclasses.dataclass(frozen=True)
class Job:
    """One training and its measurement.

    Attributes:
      name: name of the set.
      label: name of the method.
      config: configuration of the encoder.
      seed: seed of the training.
      epochs: passes over the training rows; 0 for an untrained encoder.
      folder: folder of checkpoints and of the measurement.
      settings: settings of the experiment.
      without: source whose architectures are the queries and are not trained on; empty for the set's split.
    """

    name: str
    label: str
    config: MotifEncoderConfig
    seed: int
    epochs: int
    folder: pathlib.Path
    settings: Settings
    without: str = ""


def trainings(
    output_dir: pathlib.Path,
    settings: Settings,
    name: str,
    label: str,
    config: MotifEncoderConfig,
    epochs: int,
    without: str = "",
) -> list[Job]:
    """The trainings of one method, which differ in their seeds; see `Job`."""
    seeds = range(settings.seed, settings.seed + settings.trainings)
    folder = output_dir / f"trainings_{name}"
    return [Job(name, label, config, seed, epochs, folder, settings, without) for seed in seeds]


def measured(output_dir: pathlib.Path, jobs: Sequence[Job], description: str) -> list[dict[str, Any]]:
    """The measurements of some jobs; measurements of an earlier run are read from files."""
    for name in {job.name for job in jobs}:  # made once, before processes ask for it
        data.load(output_dir, jobs[0].settings, name)
    waiting = [job for job in jobs if not _result(job).exists()]
    if waiting:
        processes.run(run, waiting, description)
    return [artefacts.read_json(_result(job)) for job in jobs]


def _result(job: Job) -> pathlib.Path:
    return job.folder / f"{data.name_of(job.label, job.seed)}.json"


def run(job: Job) -> None:
    """Trains, embeds, measures, and writes the measurement."""
    work = _result(job).with_suffix("")
    processes.quiet(work)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    collection = data.load(job.folder.parent, job.settings, job.name)
    split = data.split_of(job.name, collection, job.settings)
    if job.without:
        split = without_source(collection, job.without)
    chosen = collection.graphs[split.train].with_own_families()
    pretraining = MotifPretraining(job.config, chosen)
    if job.epochs:
        model = pretraining.train(work, epochs=job.epochs, seed=job.seed, resume=True)
    else:
        model = MotifEncoder(job.config, len(chosen.families), job.seed)
    levels = pretraining.splitter(collection.graphs)
    embeddings = embed_two_level(tf.function(model.encode, reduce_retracing=True), levels)
    artefacts.write_json(_result(job), data.measure(embeddings, collection, split, job.settings))


def measurements(
    collection: Collection, split: Split, settings: Settings, trained: Iterable[tuple[str, dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Measurements of the baselines, and of trainings by label.

    Args:
      collection: N architectures.
      split: roles of the architectures.
      settings: settings of the experiment.
      trained: labels and measurements of trainings.
    """
    train_rows = np.flatnonzero(split.train)
    results = {
        label: [data.measure(features(collection, train_rows), collection, split, settings)]
        for label, features in BASELINES.items()
    }
    for label, measurement in trained:
        results.setdefault(label, []).append(measurement)
    return results


def without_source(collection: Collection, source: str) -> Split:
    """All architectures of a source ask, all others are trained on; nothing is unseen but the source."""
    asking = collection.sources == source
    return Split(~asking, asking, asking)

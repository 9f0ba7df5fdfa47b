"""Inputs of the Jacobian experiments: Jacobians of two spaces over the same images, accuracies, trained encoders."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from reproductions import processes, report
from reproductions.jacobian.settings import Settings
from tfnas import artefacts
from tfnas.benchmarks.registry import find_table, load_table
from tfnas.benchmarks.trained.images import batch_of_images
from tfnas.encoders.jacobian import config as presets
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian.config import JacobianEncoderConfig
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.extract import available_devices
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.jacobian.task import JacobianPretraining, embed, flat_inputs
from tfnas.errors import ConfigurationError
from tfnas.graphs.structure import STRUCTURE
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.proxies.spaces import scorer
from tfnas.proxies.tables import read_scores, score_cells
from tfnas.runtime import one_device_per_core, one_thread_per_operation
from tfnas.spaces import CellTable, NASBench201, get_space

ACCURACIES = {
    "nasbench201": {
        "CIFAR-10": "cifar10_test_accuracy_200",
        "CIFAR-100": "cifar100_test_accuracy_200",
        "ImageNet16-120": "imagenet16_120_test_accuracy_200",
    },
    "nats_size": {"CIFAR-10": "cifar10_test_accuracy"},
}
PROXIES = ("synflow", "snip", "grad_norm", "fisher")
EPOCHS = {"paper": 30, "tfnas": 100}
_DEVELOPMENT = (12345, 800)  # seed and number of the cells on which the preset `tfnas` was chosen
_SCORERS = 2  # processes that compute scores
_STEPS_PER_EPOCH = 14  # of the published training


@dataclasses.dataclass(frozen=True)
class SpaceData:
    """Usable architectures of a space.

    Attributes:
      corpus: M architectures.
      accuracies: float64 `[M]` in [0, 1] per data set.
      left_out: architectures with a Jacobian that is zero or not finite.
    """

    corpus: JacobianCorpus
    accuracies: dict[str, np.ndarray]
    left_out: int


def load(output_dir: pathlib.Path, settings: Settings, space: str) -> SpaceData:
    """The data of a space; Jacobians that do not exist yet are extracted.

    Raises:
      ConfigurationError: there are Jacobians, but of other settings, or `TFNAS_DATA_DIR` lacks a table.
      CorruptArtefactError: the Jacobians are damaged.
    """
    folder = pathlib.Path(settings.corpora or output_dir / "jacobians") / space
    if not (folder / artefacts.MANIFEST_NAME).exists():
        processes.run(_extract, [(str(folder), settings, space)], f"Jacobians of {space}", workers=1)
    corpus = jacobian_corpus.load(folder)
    _check(folder, corpus, artefacts.read_json(folder / artefacts.MANIFEST_NAME), settings, space)
    table = load_table(space)
    usable = np.flatnonzero(corpus.usable)
    corpus, left_out = corpus[usable], len(corpus) - len(usable)
    rows = table.rows(corpus.cells)
    if (rows < 0).any():
        raise ConfigurationError(f"{folder}: {(rows < 0).sum()} architectures are not in the table of {space}")
    accuracies = {name: table.values(column)[rows] for name, column in ACCURACIES[space].items()}
    return SpaceData(corpus, accuracies, left_out)


def _check(folder: pathlib.Path, corpus: JacobianCorpus, manifest: dict, settings: Settings, space: str) -> None:
    """Raises ConfigurationError unless the corpus is the one that these settings would extract."""
    cells = _architectures(space, _count(settings, space), settings.seed)
    same = {
        "space": corpus.space.name == space,
        "seed": manifest["seed"] == settings.seed,
        "configuration": corpus.config == _config(settings),
        "images": np.array_equal(corpus.images, _images(settings)),
        "architectures": len(corpus) == len(cells)
        and np.array_equal(corpus.cells.operations, cells.operations)
        and np.array_equal(corpus.cells.adjacency, cells.adjacency),
    }
    for name, agrees in same.items():
        if not agrees:
            raise ConfigurationError(f"{folder} holds Jacobians with another {name}; expected that of these flags")


def _config(settings: Settings) -> JacobianConfig:
    return JacobianConfig(initializations=settings.initializations, components=settings.images)


def _count(settings: Settings, space: str) -> int:
    return {"nasbench201": settings.cells, "nats_size": settings.widths}[space]


def _images(settings: Settings) -> np.ndarray:
    return batch_of_images(find_table("cifar10_subset"), settings.images, settings.seed)[0]


def _extract(job: tuple[str, Settings, str]) -> None:
    """Extracts in a separate process, since devices are cut up before TensorFlow starts."""
    one_device_per_core()
    folder, settings, name = pathlib.Path(job[0]), job[1], job[2]
    start = time.perf_counter()
    cells = _architectures(name, _count(settings, name), settings.seed)
    jacobian_corpus.extract(
        get_space(name),
        cells,
        _images(settings),
        _config(settings),
        folder,
        seed=settings.seed,
        devices=available_devices(),
    )
    tqdm.write(f"{name}: {time.perf_counter() - start:.0f} seconds for what was missing")


def development_cells() -> np.ndarray:
    """Numbers of the NAS-Bench-201 cells on which the preset `tfnas` was chosen."""
    numbers, _ = NASBench201().distinct_functions()
    return np.random.default_rng(_DEVELOPMENT[0]).permutation(numbers)[: _DEVELOPMENT[1]]


def _architectures(name: str, count: int, seed: int) -> CellTable:
    """Random architectures; of NAS-Bench-201 cells of different functions that no setting was chosen on."""
    space, rng = get_space(name), np.random.default_rng([seed, 40])
    if name != "nasbench201":
        return space.sample(count, rng)
    numbers, _ = NASBench201().distinct_functions()
    unseen = np.setdiff1d(numbers, development_cells())
    if count > len(unseen):
        raise ConfigurationError(f"cells={count}, expected at most {len(unseen)}")
    return space.enumerate()[np.sort(rng.permutation(unseen)[:count])]


def proxy_scores(output_dir: pathlib.Path, settings: Settings, corpus: JacobianCorpus) -> dict[str, np.ndarray]:
    """Zero-cost scores `[M]` of NAS-Bench-201 cells by name, in one initialisation."""
    folders = [output_dir / "proxies" / str(number) for number in range(_SCORERS)]
    shares = np.array_split(np.arange(len(corpus)), _SCORERS)
    jobs = [
        (str(folder), settings.seed, corpus.cells[rows], corpus.images)
        for folder, rows in zip(folders, shares, strict=True)
        if not (folder / "scores.npz").exists()
    ]
    if jobs:
        processes.run(_score, jobs, "Zero-cost scores")
    scores = [read_scores(folder / "scores.npz", corpus.space)[1] for folder in folders]
    return {name: np.concatenate([columns[name] for columns in scores]) for name in PROXIES}


def _score(job: tuple) -> None:
    one_thread_per_operation()
    folder, seed, cells, images = job
    processes.quiet(pathlib.Path(folder))
    space = NASBench201()
    labels = batch_of_images(find_table("cifar10_subset"), len(images), seed)[1]
    score_cells(space, cells, scorer(space, images, labels, PROXIES, seed), pathlib.Path(folder))


def sizes(corpus: JacobianCorpus) -> dict[str, np.ndarray]:
    """Logarithms of parameters and multiply-adds, and depth, of the networks of the benchmark, float `[M]` by name."""
    structure = pack_cells(corpus.space, corpus.cells, layout=symbolic.BENCHMARK).structure
    names = {"parameters": "log_parameters", "multiply-adds": "log_multiply_adds", "depth": "depth"}
    return {name: structure[:, STRUCTURE.index(column)] for name, column in names.items()}


def encoder_config(preset: str, architectures: int) -> JacobianEncoderConfig:
    """A preset for a corpus of that size; `paper` keeps the published number of updates by a smaller batch."""
    if preset == "tfnas":
        return presets.preset("tfnas", batch_size=min(256, architectures))
    return presets.preset("paper", batch_size=min(1024, architectures // _STEPS_PER_EPOCH))


def trained_embeddings(
    output_dir: pathlib.Path, name: str, corpora: Sequence[JacobianCorpus], preset: str, seed: int
) -> np.ndarray:
    """Embeddings float32 `[M, A, D]` of all corpora by an encoder that is trained on them without labels."""
    folder = output_dir / "encoders" / f"{name}_{preset}_{seed}"

    def embeddings() -> dict[str, np.ndarray]:
        folder.mkdir(parents=True, exist_ok=True)
        config = encoder_config(preset, sum(map(len, corpora)))
        pretraining = JacobianPretraining(config, corpora)
        corpus = pretraining.everything
        model = pretraining.train(folder, epochs=EPOCHS[preset], seed=seed, resume=True)
        facts = {"architectures": len(corpus), "initializations": corpus.state.shape[1], "corpus": name}
        training = {**facts, "epochs": EPOCHS[preset], "seed": seed}
        pretraining.export(model, folder / "encoder", config=dataclasses.asdict(config), training=training)
        return {"embeddings": embed(model, corpus)}

    return report.computed_once(folder / "embeddings.npz", embeddings)["embeddings"]


def trained_encoder(output_dir: pathlib.Path, corpus: JacobianCorpus, seed: int) -> pathlib.Path:
    """Folder of the exported encoder of preset `tfnas` for NAS-Bench-201."""
    trained_embeddings(output_dir, "nasbench201", [corpus], "tfnas", seed)
    return output_dir / "encoders" / f"nasbench201_tfnas_{seed}" / "encoder"


def untrained_embeddings(corpus: JacobianCorpus, preset: str, seed: int) -> np.ndarray:
    """Embeddings float32 `[M, A, D]` by an encoder with random weights."""
    config = encoder_config(preset, len(corpus))
    model = JacobianEncoder(config, *corpus.directions.shape[2:], corpus.frequencies.shape[-1], seed)
    model.adapt(flat_inputs(corpus))
    return embed(model, corpus)


def log_spectra(corpus: JacobianCorpus, names: tuple[str, ...]) -> np.ndarray:
    """Logarithms of spectra side by side, float64 `[M, A, G]`."""
    logarithms = [np.log(np.maximum(getattr(corpus, name), 1e-7)) for name in names]
    return np.concatenate(logarithms, axis=2).astype(np.float64)


def first_initialization(corpus: JacobianCorpus) -> JacobianCorpus:
    """The corpus as if each architecture had been initialised once."""
    return dataclasses.replace(corpus, **{name: getattr(corpus, name)[:, :1] for name in jacobian_corpus.ARRAYS})

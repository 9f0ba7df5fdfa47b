"""Jacobians of many architectures on disk: sharded TFRecords, each written once, so that a run can be resumed."""

import concurrent.futures
import dataclasses
import hashlib
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts, typed
from tfnas.benchmarks.table import read_table, write_table
from tfnas.corpora import shards
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.program import FINE, Description, Inputs, check_images, describe
from tfnas.encoders.jacobian.space_programs import Jacobian, space_jacobians
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.proxies.scores import covariance_score
from tfnas.spaces import CellTable, Space, get_space

KIND = "jacobian_corpus"
CELLS_NAME = "cells.npz"
IMAGES_NAME = "images.npz"
SETTINGS_NAME = "settings.json"
_HALF = ("directions",)
ARRAYS = (*Inputs._fields, "state")
"""Fields of `JacobianCorpus` with an entry for every architecture and initialisation."""


@dataclasses.dataclass(frozen=True)
class JacobianCorpus:
    """Jacobians of M architectures in A initialisations over one batch of N images.

    Attributes:
      space: search space.
      config: settings of the computation.
      cells: M architectures.
      images: float32 `[N, height, width, channels]`.
      directions: float16 `[M, A, rows, k]`, of `program.Description`.
      scales: float32 `[M, A, k]`.
      correlations: float32 `[M, A, rows]`.
      frequencies: float32 `[M, A, F]`.
      state: int8 `[M, A]`.
    """

    space: Space
    config: JacobianConfig
    cells: CellTable
    images: np.ndarray
    directions: np.ndarray
    scales: np.ndarray
    correlations: np.ndarray
    frequencies: np.ndarray
    state: np.ndarray

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, rows: np.ndarray) -> "JacobianCorpus":
        fields = {name: getattr(self, name)[rows] for name in (*ARRAYS, "cells")}
        return dataclasses.replace(self, **fields)

    @property
    def inputs(self) -> Inputs:
        """The arrays that encoders read, `[M, A, ...]` each."""
        return Inputs(*(getattr(self, name) for name in Inputs._fields))

    @property
    def usable(self) -> np.ndarray:
        """bool `[M]`: the Jacobians of all initialisations are finite and not zero."""
        return (self.state == FINE).all(axis=1)

    @property
    def jacov(self) -> np.ndarray:
        """float64 `[M]`: the zero-cost score of the same name, mean over initialisations; NaN where one is unusable.

        A single image without a gradient leaves an eigenvalue at 0, where `jacobian_covariance` has no score.
        """
        scores = [[covariance_score(values) for values in eigenvalues] for eigenvalues in self.correlations]
        return np.where(self.usable, np.mean(scores, axis=1), np.nan)


class Facts(TypedDict):
    """Entries of the manifest of a corpus."""

    space: str
    architectures: typed.Natural
    config: dict[str, Any]


def read_manifest(folder: artefacts.PathLike, *, check_files: bool = True) -> tuple[dict[str, Any], JacobianConfig]:
    """The manifest of a corpus and the settings of the computation.

    Args:
      folder: folder of the corpus.
      check_files: False to leave the files unread.

    Raises:
      CorruptArtefactError: see `artefacts.read_manifest`; another number of shards than the settings imply.
      MismatchError: settings that this version does not know.
    """
    manifest = (
        artefacts.read_manifest(folder, kind=KIND, facts=Facts, files=(CELLS_NAME, IMAGES_NAME))
        if check_files
        else artefacts.parse_manifest(folder, kind=KIND, facts=Facts)
    )
    config = typed.instance(JacobianConfig, manifest["config"], f"{folder}: config")
    count = len(shards.paths(folder, manifest))
    if count != -(-manifest["architectures"] // config.shard_size):
        raise CorruptArtefactError(
            f"{folder}: {count} files of {manifest['architectures']} architectures, {config.shard_size} each"
        )
    return manifest, config


def extract(
    space: Space,
    cells: CellTable,
    images: np.ndarray,
    config: JacobianConfig,
    folder: pathlib.Path,
    *,
    seed: int,
    devices: Sequence[str] = ("CPU:0",),
    num_classes: int = 10,
) -> dict[str, int]:
    """Writes the Jacobians of M architectures to `folder`, continuing what it holds.

    A file of a shard is either whole or absent; memory holds one shard. Each device has a thread of its own, which
    takes the next network as soon as it is done with one; results do not depend on their number.

    Args:
      space: search space.
      cells: M architectures.
      images: float32 `[N, height, width, channels]`.
      config: settings of the computation.
      folder: folder of the corpus.
      seed: seed of the weights.
      devices: distinct devices on which networks run side by side, such as `("GPU:0", "GPU:1")`.
      num_classes: width of the classifier.

    Returns:
      How many Jacobians are fine, zero, and not finite.

    Raises:
      ConfigurationError: unusable images, more components than rows, a device twice, no network of the space, or a
        folder that holds something else.
    """
    images = np.asarray(images, np.float32)
    check_images(images)
    rows = len(images) * (num_classes if config.outputs == "classes" else 1)
    if config.projection == "leading" and config.components > rows:
        raise ConfigurationError(f"components={config.components}, expected at most {rows} (rows of a Jacobian)")
    if len(set(devices)) < len(devices):
        raise ConfigurationError(f"devices {', '.join(devices)}, expected each once")
    _begin(folder, space, cells, images, config, seed, num_classes)
    count = -(-len(cells) // config.shard_size)
    paths = [folder / name for name in shards.names("jacobians", count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        jacobian = space_jacobians(
            space, seed, config.initialization, config.outputs, num_classes, tuple(images.shape[1:])
        )
        network = _Networks(jacobian, images, space, cells, config, seed, devices)
        bar = tqdm(total=len(cells), desc=f"Jacobians of {space.name}", unit="architecture")
        with bar, concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
            bar.update(config.shard_size * (count - len(missing)))
            for number in missing:
                shard = range(number * config.shard_size, min((number + 1) * config.shard_size, len(cells)))
                records = []
                for record in pool.map(network.record, shard):
                    records.append(record)
                    bar.update()
                shards.write_file(paths[number], (record.serialized() for record in records))
    states = np.concatenate([record.state for path in paths for record in _read_shard(path)])
    totals = {name: int(np.sum(states == code)) for code, name in enumerate(("fine", "zero", "not_finite"))}
    artefacts.write_manifest(
        folder,
        kind=KIND,
        space=space.name,
        architectures=len(cells),
        config=dataclasses.asdict(config),
        seed=seed,
        states=totals,
    )
    return totals


def _begin(
    folder: pathlib.Path,
    space: Space,
    cells: CellTable,
    images: np.ndarray,
    config: JacobianConfig,
    seed: int,
    num_classes: int,
) -> None:
    """Writes what is extracted, or checks that the folder holds the beginnings of just that."""
    settings = {
        "space": space.name,
        "architectures": [space.to_string(space.architecture(cells, row)) for row in range(len(cells))],
        "images": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        "config": dataclasses.asdict(config),
        "seed": seed,
        "num_classes": num_classes,
    }
    path = folder / SETTINGS_NAME
    if path.exists():
        before = artefacts.read_json(path)
        for name, value in settings.items():
            if before.get(name) != value:
                raise ConfigurationError(f"{folder} was begun with other {name}; expected an empty folder or the same")
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.tfrecord")):
        raise ConfigurationError(f"{folder} holds Jacobians but no {SETTINGS_NAME}, expected an empty folder")
    write_table(folder / CELLS_NAME, space, cells, {})
    artefacts.write_npz(folder / IMAGES_NAME, images=images)
    artefacts.write_json(path, settings)


class _Networks:
    """The records of architectures, each computed on a free device."""

    def __init__(
        self,
        jacobian: Jacobian,
        images: np.ndarray,
        space: Space,
        cells: CellTable,
        config: JacobianConfig,
        seed: int,
        devices: Sequence[str],
    ):
        self._jacobian, self._space, self._cells, self._config, self._seed = jacobian, space, cells, config, seed
        self._images = []
        for device in devices:
            with tf.device(device):
                self._images.append(tf.constant(images))
        self._devices = list(devices)
        self._free = list(range(len(devices)))
        self._tracing = threading.Lock()
        self._traced: set[str] = set()

    def record(self, row: int) -> "Record":
        architecture = self._space.architecture(self._cells, row)
        slot = self._free.pop()
        device = self._devices[slot]
        try:
            with tf.device(device):
                with self._tracing:  # programs are traced one at a time
                    if device not in self._traced:
                        self._jacobian(self._images[slot], architecture, 0)
                        self._traced.add(device)
                descriptions = [
                    describe(
                        self._jacobian(self._images[slot], architecture, number),
                        self._images[slot].shape[1:],
                        self._config.components,
                        self._config.projection,
                        self._seed,
                    )
                    for number in range(self._config.initializations)
                ]
        finally:
            self._free.append(slot)
        return Record.of(row, descriptions)


@dataclasses.dataclass(frozen=True)
class Record:
    """One architecture: arrays with the initialisations in front."""

    row: int
    state: np.ndarray
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, row: int, descriptions: Sequence[Description]) -> "Record":
        arrays = {
            name: np.stack([getattr(description, name) for description in descriptions]).astype(
                np.float16 if name in _HALF else np.float32
            )
            for name in Inputs._fields
        }
        return cls(row, np.array([description.state for description in descriptions], np.int8), arrays)

    def serialized(self) -> bytes:
        feature = {
            "row": tf.train.Feature(int64_list=tf.train.Int64List(value=[self.row])),
            "state": tf.train.Feature(int64_list=tf.train.Int64List(value=self.state)),
        }
        for name, array in self.arrays.items():
            little = array.astype(array.dtype.newbyteorder("<"))
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[little.tobytes()]))
            feature[f"{name}_shape"] = tf.train.Feature(int64_list=tf.train.Int64List(value=array.shape))
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)

    @classmethod
    def parsed(cls, text: bytes) -> "Record":
        feature = tf.train.Example.FromString(text).features.feature
        arrays = {}
        for name in Inputs._fields:
            dtype = np.dtype("<f2" if name in _HALF else "<f4")
            arrays[name] = np.frombuffer(feature[name].bytes_list.value[0], dtype).reshape(
                feature[f"{name}_shape"].int64_list.value
            )
        return cls(feature["row"].int64_list.value[0], np.array(feature["state"].int64_list.value, np.int8), arrays)


def _read_shard(path: pathlib.Path) -> Iterator[Record]:
    try:
        for text in shards.read_file(path):
            yield Record.parsed(text)
    except (ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{path}: not a file of Jacobians ({reason})") from error


def load(folder: artefacts.PathLike) -> JacobianCorpus:
    """Reads a corpus into memory.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed.
    """
    folder = pathlib.Path(folder)
    manifest, config = read_manifest(folder)
    space = get_space(manifest["space"])
    records = [record for path in shards.paths(folder, manifest) for record in _read_shard(path)]
    if [record.row for record in records] != list(range(manifest["architectures"])):
        raise CorruptArtefactError(f"{folder}: {manifest['architectures']} architectures expected in order")
    return JacobianCorpus(
        space=space,
        config=config,
        cells=read_table(folder / CELLS_NAME, space).cells,
        images=artefacts.read_npz(folder / IMAGES_NAME)["images"],
        state=np.stack([record.state for record in records]),
        **{name: np.stack([record.arrays[name] for record in records]) for name in Inputs._fields},
    )

"""Embeddings of a corpus of any size, each shard by some worker, on this machine or on a cluster.

A worker needs the corpus, the SavedModel and the output folder, under the same paths on every machine. Every shard
leaves one file as soon as it is done, so a run that was cut off goes on where it stopped.
"""

import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self, TypedDict

import numpy as np
import tensorflow as tf

from tfnas import artefacts, processes
from tfnas import encoders as registry
from tfnas.corpora import pipelines, shards
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.typed import Natural

KIND = "embedding_shards"
EMBEDDINGS_NAME = "embeddings"


class Facts(TypedDict):
    """Entries of the manifest of embeddings."""

    records: list[Natural]
    total: Natural
    embedding_dim: Natural


def check(encoder: artefacts.PathLike, corpus: artefacts.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifests of an encoder and of a corpus that it embeds. The corpus's shards are left to the workers.

    Args:
      encoder: folder of an exported encoder.
      corpus: folder of a corpus.

    Raises:
      CorruptArtefactError: a file of the encoder is damaged, or there is no such corpus.
      MismatchError: the corpus holds what the encoder does not take.
    """
    row = registry.kind_of(encoder)
    model = artefacts.read_manifest(encoder, kind=row.kind, facts=row.saved.FACTS, files=row.saved.FILES)
    manifest = row.saved.read_corpus(corpus)
    reason = row.saved.mismatch(model, manifest)
    if reason is not None:
        raise MismatchError(f"{encoder} does not embed {corpus}: {reason}")
    return model, manifest


def embed_corpus(
    encoder: artefacts.PathLike,
    corpus: artefacts.PathLike,
    output_dir: pathlib.Path,
    *,
    batch_size: int = 256,
    num_workers: int = 2,
    beam_options: Sequence[str] = (),
    trust: bool = False,
) -> dict[str, Any]:
    """Embeds every architecture of a corpus.

    Writes `embeddings/` (`embeddings-00000-of-00008.npz`, ..., as many as the corpus has shards, with `embeddings`
    float32 `[n, D]` and `rows` int64 `[n]`, their numbers in the corpus) and `summary.json`.

    Args:
      encoder: folder of an exported encoder of any kind.
      corpus: folder of a corpus of cells, computation graphs or Jacobians, whichever the encoder embeds. Embeddings of
        Jacobians are means over initialisations, and NaN where a Jacobian is zero or not finite.
      output_dir: an existing folder; shards that it holds already are not embedded again.
      batch_size: architectures that the encoder embeds at a time.
      num_workers: processes of this machine.
      beam_options: flags of an Apache Beam runner, which works instead of processes of this machine.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Returns:
      The summary.

    Raises:
      CorruptArtefactError: a file is missing or damaged.
      MismatchError: see `check`.
      ChildProcessError: a worker died.
    """
    started = time.perf_counter()
    model, manifest = check(encoder, corpus)
    rows = registry.kind_of(encoder).saved.shard_rows(manifest)
    names = shards.files_of(manifest)
    folder = output_dir / EMBEDDINGS_NAME
    folder.mkdir(exist_ok=True)
    targets = [folder / f"{EMBEDDINGS_NAME}-{shard:05d}-of-{len(names):05d}.npz" for shard in range(len(names))]
    waiting = [
        (name, manifest["files"][name], numbers, str(target.absolute()))
        for name, numbers, target in zip(names, rows, targets, strict=True)
        if not target.is_file()
    ]
    work = _EmbedShard(str(pathlib.Path(encoder).absolute()), str(pathlib.Path(corpus).absolute()), batch_size, trust)
    pipelines.run(
        waiting,
        work,
        lambda: sum(target.is_file() for target in targets),
        len(targets),
        name="Embedding",
        unit="shard",
        num_workers=num_workers,
        beam_options=beam_options,
    )
    total = sum(len(numbers) for numbers in rows)
    artefacts.write_manifest(
        folder,
        kind=KIND,
        encoder=artefacts.fingerprint(model),
        corpus=artefacts.fingerprint(manifest),
        records=[len(numbers) for numbers in rows],
        total=total,
        embedding_dim=model["embedding_dim"],
    )
    seconds = time.perf_counter() - started
    embedded = sum(len(numbers) for *_, numbers, _ in waiting)
    summary = {
        "architectures": total,
        "embedded_now": embedded,
        "embedding_dim": model["embedding_dim"],
        "seconds": seconds,
        "architectures_per_second": embedded / seconds,
        "encoder_sha256": artefacts.fingerprint(model),
    }
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary


def read_embeddings(folder: artefacts.PathLike) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What `embed_corpus` wrote, shard by shard: rows int64 `[n]` and embeddings float32 `[n, D]`.

    Raises:
      CorruptArtefactError: a file is missing or damaged.
    """
    manifest = artefacts.read_manifest(folder, kind=KIND, facts=Facts)
    names, records = sorted(manifest["files"]), manifest["records"]
    if len(names) != len(records):
        path = pathlib.Path(folder) / artefacts.MANIFEST_NAME
        raise CorruptArtefactError(f"{path}: {len(names)} files, and numbers of records of {len(records)}")
    for name, count in zip(names, records, strict=True):
        arrays = artefacts.read_npz(pathlib.Path(folder) / name)
        if {name: array.shape for name, array in arrays.items()} != {
            "rows": (count,),
            "embeddings": (count, manifest["embedding_dim"]),
        }:
            raise CorruptArtefactError(f"{pathlib.Path(folder) / name}: not {count} rows of embeddings")
        yield arrays["rows"], arrays["embeddings"]


class _EmbedShard(processes.Work):
    """(name of a shard, its manifest entry, the rows of its records, target) in, a file out."""

    threads_share = True

    def __init__(self, encoder: str, corpus: str, batch_size: int, trust: bool):
        if batch_size < 1:
            raise ConfigurationError(f"batch_size={batch_size}, expected at least 1")
        self._folder, self._corpus, self._batch_size, self._trust = encoder, pathlib.Path(corpus), batch_size, trust

    def __enter__(self) -> Self:
        self._encoder = registry.load(self._folder, trust=self._trust)
        return self

    def __exit__(self, *_: object) -> None:
        del self._encoder

    def __call__(self, item: tuple[str, dict[str, Any], range, str]) -> None:
        name, facts, rows, target = item
        path = self._corpus / name
        artefacts.check_file(path, facts)
        shards.check_frames(path)
        batches = []
        try:
            for records in tf.data.TFRecordDataset(str(path)).batch(self._batch_size).prefetch(1):
                batches.append(self._encoder.embed_records(records))
        except tf.errors.OpError as error:
            raise CorruptArtefactError(f"{path}: {str(error.message).splitlines()[0]}") from error
        embeddings = np.concatenate(batches) if batches else np.zeros((0, 0), np.float32)
        if len(embeddings) != len(rows):
            raise CorruptArtefactError(f"{path}: {len(embeddings)} records, the manifest says {len(rows)}")
        if self._encoder.FINITE and not np.isfinite(embeddings).all():
            record = int(np.argwhere(~np.isfinite(embeddings))[0, 0])
            raise CorruptArtefactError(f"{path}: the embedding of record {record} is not finite")
        artefacts.write_npz(target, embeddings=embeddings, rows=np.array(rows, np.int64))

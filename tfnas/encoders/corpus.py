"""Embeddings of a corpus of any size: an Apache Beam pipeline, one shard of it after the other.

A worker needs the corpus, the SavedModel and the output folder, under the same paths on every machine. Every shard
leaves one file as soon as it is done, so a run that was cut off goes on where it stopped.
"""

import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.utils.shared import Shared

from tfnas import artefacts
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.corpora import pipelines
from tfnas.encoders.saved import KIND_PREFIX
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.saved_models import load_module

KIND = "embedding_shards"
EMBEDDINGS_NAME = "embeddings"
_SIGNATURE = "encode_examples"
_VOCABULARY = {cell_corpora.KIND: "operations", graph_corpora.KIND: "operators"}


def check(encoder: artefacts.PathLike, corpus: artefacts.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifests of an encoder and of a corpus that it can embed. The corpus's shards are left to the workers.

    Raises:
      CorruptArtefactError: a file of the encoder is damaged, or there is no such corpus.
      MismatchError: the corpus holds what the encoder does not take.
    """
    model = artefacts.read_manifest(encoder)
    shards = artefacts.read_json(pathlib.Path(corpus) / artefacts.MANIFEST_NAME)
    if not str(model.get("kind")).startswith(KIND_PREFIX):
        raise CorruptArtefactError(f"{encoder}: expected an encoder, found a {model.get('kind')!r}")
    vocabulary = _VOCABULARY.get(shards.get("kind"))
    if vocabulary is None:
        raise CorruptArtefactError(f"{corpus}: expected a corpus of cells or graphs, found a {shards.get('kind')!r}")
    takes = f"{KIND_PREFIX}{'arch2vec' if vocabulary == 'operations' else 'computation_graph'}"
    if model["kind"] != takes or model.get("space") != shards.get("space"):
        found = f"{model['kind']} {model.get('space', '')}".strip()
        raise MismatchError(f"{encoder}: {found} does not embed the {shards['kind']} {corpus}")
    if model[vocabulary] != shards[vocabulary]:
        raise MismatchError(f"{encoder}: its {vocabulary} are not those of {corpus}")
    return model, shards


def embed_corpus(
    encoder: artefacts.PathLike,
    corpus: artefacts.PathLike,
    output_dir: pathlib.Path,
    *,
    batch_size: int = 256,
    num_workers: int = 2,
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Embeds every architecture of a corpus.

    Writes `embeddings/` (`embeddings-00000-of-00008.npz`, ..., as many as the corpus has shards, with `embeddings`
    float32 `[n, D]` and `rows` int64 `[n]`, their numbers in the corpus) and `summary.json`.

    Args:
      encoder: an exported encoder of cells or computation graphs.
      corpus: what `corpora.cells` or `corpora.graphs` wrote.
      output_dir: an existing folder; shards that it holds already are not embedded again.
      batch_size: architectures that the encoder gets at a time.
      num_workers: processes of the local runner.
      beam_options: flags of another Beam runner, instead of the local one.

    Returns:
      The summary.

    Raises:
      CorruptArtefactError: a file is missing or damaged.
      MismatchError: see `check`.
    """
    started = time.perf_counter()
    model, shards = check(encoder, corpus)
    names = sorted(name for name in shards["files"] if name.endswith(".tfrecord"))
    folder = output_dir / EMBEDDINGS_NAME
    folder.mkdir(exist_ok=True)
    targets = [folder / f"{EMBEDDINGS_NAME}-{shard:05d}-of-{len(names):05d}.npz" for shard in range(len(names))]
    waiting = [
        (shard, name, shards["files"][name], shards["records"][shard], str(target.absolute()))
        for shard, (name, target) in enumerate(zip(names, targets, strict=True))
        if not target.is_file()
    ]
    work = _EmbedShard(str(pathlib.Path(encoder).absolute()), str(pathlib.Path(corpus).absolute()), batch_size)
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
    artefacts.write_manifest(
        folder,
        kind=KIND,
        encoder=artefacts.fingerprint(model),
        corpus=artefacts.fingerprint(shards),
        records=shards["records"],
        total=shards["total"],
        embedding_dim=model["embedding_dim"],
    )
    seconds = time.perf_counter() - started
    embedded = sum(count for *_, count, _ in waiting)
    summary = {
        "architectures": shards["total"],
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
    manifest = artefacts.read_manifest(folder, kind=KIND)
    for name in sorted(manifest["files"]):
        arrays = artefacts.read_npz(pathlib.Path(folder) / name)
        yield arrays["rows"], arrays["embeddings"]


class _Loaded:
    """An encoder that all threads of a process share (a tuple or a function could not be referred to weakly)."""

    def __init__(self, folder: str):
        self._module = load_module(folder)
        self.encode = self._module.signatures[_SIGNATURE]


class _EmbedShard(beam.DoFn):
    """(shard, its name, its manifest entry, its record count, target) in, a file out."""

    def __init__(self, encoder: str, corpus: str, batch_size: int):
        if batch_size < 1:
            raise ConfigurationError(f"batch_size={batch_size}, expected at least 1")
        self._encoder, self._corpus, self._batch_size = encoder, pathlib.Path(corpus), batch_size
        self._shared = Shared()

    def setup(self) -> None:
        self._loaded = self._shared.acquire(lambda: _Loaded(self._encoder), self._encoder)

    def process(self, item: tuple[int, str, dict[str, Any], int, str]) -> Iterator[str]:
        shard, name, facts, count, target = item
        path = self._corpus / name
        artefacts.check_file(path, facts)
        parts = []
        try:
            for batch in tf.data.TFRecordDataset(str(path)).batch(self._batch_size).prefetch(1):
                parts.append(self._loaded.encode(examples=batch)["embedding"].numpy())
        except tf.errors.OpError as error:
            raise CorruptArtefactError(f"{path}: {str(error.message).splitlines()[0]}") from error
        embeddings = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        if len(embeddings) != count:
            raise CorruptArtefactError(f"{path}: {len(embeddings)} records, the manifest says {count}")
        if not np.isfinite(embeddings).all():
            row = int(np.argwhere(~np.isfinite(embeddings))[0, 0])
            raise CorruptArtefactError(f"{path}: the embedding of record {row} is not finite")
        shards = int(name.rsplit("-", 1)[1].removesuffix(".tfrecord"))
        artefacts.write_npz(target, embeddings=embeddings, rows=np.arange(count, dtype=np.int64) * shards + shard)
        yield target

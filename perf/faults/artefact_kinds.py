"""Every kind of file that tfnas writes and reads again: how a small one is made, and what reading it gives."""

import dataclasses
import functools
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from tfnas import artefacts, encoders
from tfnas.benchmarks.table import read_table, write_table
from tfnas.benchmarks.trained.images import load_images
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import corpus as embedding_pipeline
from tfnas.encoders.arch2vec import saved
from tfnas.encoders.jacobian import corpus as jacobian_corpora
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks import symbolic
from tfnas.predictors.label_predictor import LabelPredictor
from tfnas.predictors.own_labels import OwnLabels
from tfnas.predictors.saved import SavedPredictor
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index
from tfnas.saved_models import SHIPPED
from tfnas.spaces import NASBench201, NATSSize
from tfnas.training.log import MetricsLog, read_metrics

SPACE = NASBench201()
ROWS = [0, 777, 2000, 5000, 9000, 13714, 15000, 15624]
_HEADER = {"space": "nasbench201", "config": {"epochs": 3}}
_IN_MEMORY = ("--runner=DirectRunner", "--direct_running_mode=in_memory")


@dataclasses.dataclass(frozen=True)
class Artefact:
    """A kind of file or folder.

    Attributes:
      make: function that writes an artefact into an empty folder.
      read: function that reads the folder and returns what the reader tells, as arrays, numbers and text.
      manifest: whether the folder has a manifest.
      torn: whether a file that is cut short reads as its beginning, as a killed writer leaves it.
    """

    make: Callable[[pathlib.Path], Any]
    read: Callable[[pathlib.Path], Any]
    manifest: bool = True
    torn: bool = False


def _cells() -> Any:
    return SPACE.enumerate()[ROWS]


@functools.cache
def _graphs() -> list[ComputationGraph]:
    cells = _cells()
    return [
        symbolic.build(SPACE, SPACE.architecture(cells, row), name=f"n{row}", family="ab"[row % 2])
        for row in range(len(ROWS))
    ]


def _graph_arrays(graphs: Any) -> list[Any]:
    return [[graph.operators, graph.shapes, graph.edges, graph.name, graph.family] for graph in graphs]


def _make_table(folder: pathlib.Path) -> None:
    write_table(folder / "table.npz", SPACE, _cells(), {"test_accuracy": np.linspace(0, 1, len(ROWS))}, source="here")


def _read_table(folder: pathlib.Path) -> Any:
    table = read_table(folder / "table.npz")
    return [table.cells.operations, table.cells.adjacency, dict(table.columns), dict(table.facts)]


def _make_images(folder: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", images=rng.integers(0, 255, (20, 4, 4, 3), np.uint8), labels=np.arange(20) % 2)


def _read_images(folder: pathlib.Path) -> Any:
    data = load_images(folder / "images.npz")
    return [*data.train, *data.test, *data.class_names]


def _make_embedded_corpus(folder: pathlib.Path) -> None:
    cell_corpora.write_cells(folder / "cells", SPACE, _cells(), num_shards=2)
    encoder = SHIPPED / "arch2vec_nasbench201"
    embedding_pipeline.embed_corpus(encoder, folder / "cells", folder, beam_options=_IN_MEMORY)
    shutil.rmtree(folder / "cells")
    (folder / "summary.json").unlink()


@functools.cache
def _encoder() -> saved.SavedCellEncoder:
    return saved.SavedCellEncoder(SHIPPED / "arch2vec_nasbench201")


def _make_embedding_table(folder: pathlib.Path) -> None:
    saved.write_embedding_table(folder / "table", _encoder(), _cells(), _encoder().embed(_cells()))


def _read_embedding_table(folder: pathlib.Path) -> Any:
    cells, values = saved.read_embedding_table(folder / "table", _encoder())
    return [cells.operations, cells.adjacency, values]


def _make_jacobians(folder: pathlib.Path) -> None:
    space = NATSSize()
    images = np.random.default_rng(0).random((4, 8, 8, 3)).astype(np.float32)
    config = JacobianConfig(initializations=1, components=4, shard_size=2)
    jacobian_corpora.extract(space, space.sample(3, seed=0), images, config, folder / "jacobians", seed=1)


def _read_jacobians(folder: pathlib.Path) -> Any:
    corpus = jacobian_corpora.load(folder / "jacobians")
    return [*(getattr(corpus, name) for name in jacobian_corpora.ARRAYS), corpus.cells.operations, corpus.images]


def _make_index(folder: pathlib.Path) -> None:
    collection = Collection.from_graphs(_graphs())
    vectors = np.eye(len(ROWS), dtype=np.float32)
    Index(vectors, collection.names, collection.sources, collection.families, collection).save(folder / "index")


def _read_index(folder: pathlib.Path) -> Any:
    index = Index.load(folder / "index")
    graphs = [] if index.collection is None else [index.collection.graph(row) for row in range(len(index))]
    return [index.embeddings, index.names, index.families, _graph_arrays(graphs)]


def _make_log(folder: pathlib.Path) -> None:
    log = TrialLog(folder / "trials.jsonl", _HEADER)
    for number in range(5):
        log.add(f"trial {number}", {"validation": number / 7, "failure": ""})


def _read_log(folder: pathlib.Path) -> Any:
    return TrialLog(folder / "trials.jsonl", _HEADER).records()


def _make_metrics(folder: pathlib.Path) -> None:
    log = MetricsLog(folder)
    for epoch in range(1, 6):
        log.write(epoch, {"loss": 1 / epoch})
    shutil.rmtree(folder / "tensorboard")


def _read_metrics(folder: pathlib.Path) -> Any:
    return {record["epoch"]: record for record in read_metrics(folder / "metrics.jsonl")}


def _make_run(folder: pathlib.Path) -> None:
    artefacts.prepare_output_folder(folder / "out", {"program": "search", "seed": 17, "strategy": ["random"]})


def _read_run(folder: pathlib.Path) -> Any:
    return artefacts.read_run(folder / "out")["settings"]


def _make_own_predictor(folder: pathlib.Path) -> None:
    LabelPredictor().fit(OwnLabels(tuple(_graphs()), np.linspace(0.1, 0.9, len(ROWS)))).save(folder / "predictor")


def _read_own_predictor(folder: pathlib.Path) -> Any:
    predictor = LabelPredictor.load(folder / "predictor")
    return [predictor.labels.labels, predictor.chosen, predictor.predict(_graphs()[2]).record()]


def _copied(name: str) -> Callable[[pathlib.Path], Any]:
    return lambda folder: shutil.copytree(SHIPPED / name, folder / name)


def _embedded(name: str, inputs: Callable[[], Any]) -> Callable[[pathlib.Path], Any]:
    return lambda folder: encoders.load(folder / name).embed(inputs())


def _jacobian_embedding(folder: pathlib.Path) -> Any:
    encoder = encoders.load(folder / "jacobian_encoder")
    return encoder.embed_jacobians(np.ones((1, 64, 32 * 32 * 3), np.float32))  # type: ignore[attr-defined]


def _prediction(folder: pathlib.Path) -> Any:
    answer = SavedPredictor(folder / "cg_predictor").predict(_graphs()[2])
    return [answer.score, answer.accuracy, answer.distance, answer.embedding, answer.family, dict(answer.reasons)]


ARTEFACTS = {
    "compact table": Artefact(_make_table, _read_table, manifest=False),
    "images": Artefact(_make_images, _read_images, manifest=False),
    "trial log": Artefact(_make_log, _read_log, manifest=False, torn=True),
    "metrics of a training": Artefact(_make_metrics, _read_metrics, manifest=False, torn=True),
    "record of a run": Artefact(_make_run, _read_run, manifest=False),
    "corpus of cells": Artefact(
        lambda folder: cell_corpora.write_cells(folder / "cells", SPACE, _cells(), num_shards=2),
        lambda folder: dataclasses.astuple(cell_corpora.load_cells(folder / "cells", SPACE)),
    ),
    "corpus of graphs": Artefact(
        lambda folder: graph_corpora.write_graphs(folder / "graphs", _graphs(), num_shards=2),
        lambda folder: _graph_arrays(graph_corpora.read_graphs(folder / "graphs")),
    ),
    "corpus of Jacobians": Artefact(_make_jacobians, _read_jacobians),
    "embeddings of a corpus": Artefact(
        _make_embedded_corpus,
        lambda folder: list(embedding_pipeline.read_embeddings(folder / "embeddings")),
    ),
    "table of embeddings": Artefact(_make_embedding_table, _read_embedding_table),
    "index": Artefact(_make_index, _read_index),
    "predictor of own labels": Artefact(_make_own_predictor, _read_own_predictor),
    "Jacobian encoder": Artefact(_copied("jacobian_encoder"), _jacobian_embedding),
    "arch2vec encoder": Artefact(_copied("arch2vec_nasbench201"), _embedded("arch2vec_nasbench201", lambda: _cells())),
    "graph encoder": Artefact(_copied("cg_encoder"), _embedded("cg_encoder", _graphs)),
    "colour encoder": Artefact(_copied("colour_encoder"), _embedded("colour_encoder", _graphs)),
    "motif encoder": Artefact(_copied("motif_encoder"), _embedded("motif_encoder", _graphs)),
    "predictor": Artefact(_copied("cg_predictor"), _prediction),
}
"""Kinds of artefacts by name."""

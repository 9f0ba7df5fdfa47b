"""Files that earlier versions wrote stay readable. (`tests/golden/make.py` wrote them; what ships is one more.)"""

import pathlib
import shutil

import numpy as np
import pytest

from tests.golden.make import HEADER, ROWS, TRIAL
from tfnas import saved_models
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import corpus as embedding_pipeline
from tfnas.encoders.arch2vec import saved
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.networks import symbolic
from tfnas.retrieval.index import Index
from tfnas.spaces import NASBench201

SPACE = NASBench201()
CELLS = SPACE.enumerate()[ROWS]
VERSIONS = sorted(path for path in (pathlib.Path(__file__).parent / "golden").iterdir() if path.name.startswith("v"))


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def golden(request):
    return request.param


def test_cells(golden):
    cells = cell_corpora.load_cells(golden / "cells", SPACE)
    np.testing.assert_array_equal(cells.operations, CELLS.operations)
    np.testing.assert_array_equal(cells.adjacency, CELLS.adjacency)


def test_computation_graphs(golden):
    graphs = list(graph_corpora.read_graphs(golden / "graphs"))
    expected = [symbolic.build(SPACE, SPACE.architecture(CELLS, row)) for row in range(3)]
    assert [graph.name for graph in graphs] == ["n0", "n1", "n2"]
    for one, two in zip(graphs, expected, strict=True):
        np.testing.assert_array_equal(one.operators, two.operators)
        np.testing.assert_array_equal(one.edges, two.edges)
        np.testing.assert_array_equal(one.shapes, two.shapes)


def test_embeddings(golden, monkeypatch):
    encoder = saved.SavedCellEncoder(saved_models.SHIPPED / "arch2vec_nasbench201")
    shards = list(embedding_pipeline.read_embeddings(golden / "sharded" / "embeddings"))
    rows = np.concatenate([rows for rows, _ in shards])
    assert sorted(rows.tolist()) == [0, 1, 2]
    made_by = embedding_pipeline.artefacts.read_manifest(golden / "embeddings")["encoder"]
    monkeypatch.setattr(saved.SavedCellEncoder, "fingerprint", made_by)  # another encoder may ship one day
    cells, values = saved.read_embedding_table(golden / "embeddings", encoder)
    np.testing.assert_array_equal(cells.operations, CELLS.operations)
    np.testing.assert_allclose(np.concatenate([part for _, part in shards])[np.argsort(rows)], values, atol=1e-5)


def test_trial_log(golden, tmp_path):
    shutil.copy(golden / "trials.jsonl", tmp_path / "log")
    assert TrialLog(tmp_path / "log", HEADER).records() == {"a": TRIAL}


def test_index(golden):
    index = Index.load(golden / "index")
    assert index.names.tolist() == ["n0", "n1", "n2"]
    np.testing.assert_array_equal(index.embeddings, np.eye(3, 4))
    assert len(index.collection) == 3


def test_jacobians(golden):
    corpus = jacobian_corpus.load(golden / "jacobians")
    assert corpus.directions.shape[:2] == (12, 2)
    assert corpus.usable.all()

"""Corpora of computation graphs: reading back, damage."""

import numpy as np
import pytest

from tests.fork import ROOT
from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.graphs import operators
from tfnas.networks import symbolic
from tfnas.spaces import get_space


@pytest.fixture(scope="module")
def graphs():
    """Sixty graphs of three sizes; the label is the number."""
    rng = np.random.default_rng(0)
    found = []
    for name in ("nats_size", "nasbench201", "mobilenetv3"):
        space = get_space(name)
        cells = space.sample(20, rng)
        found += [symbolic.build(space, space.architecture(cells, row), name=str(row)) for row in range(20)]
    order = rng.permutation(60)
    return [found[place].replace(label=float(number)) for number, place in enumerate(order)]


@pytest.fixture(scope="module")
def corpus(graphs, tmp_path_factory):
    """Their corpus."""
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    assert graph_corpora.write_graphs(folder, iter(graphs), num_shards=3, made_by="a test") == 60
    return folder


def test_graphs_come_back_in_order(corpus, graphs):
    read = list(graph_corpora.read_graphs(corpus))
    assert [graph.label for graph in read] == list(range(60))
    for mine, theirs in zip(graphs, read, strict=True):
        np.testing.assert_array_equal(mine.edges, theirs.edges)
        np.testing.assert_array_equal(mine.shapes, theirs.shapes)
        assert (mine.name, mine.family, mine.operator_names) == (theirs.name, theirs.family, theirs.operator_names)
    manifest = artefacts.read_manifest(corpus, kind=graph_corpora.KIND)
    assert manifest["families"] == {"mobilenetv3": 20, "nasbench201": 20, "nats_size": 20}
    assert (manifest["records"], manifest["total"], manifest["made_by"]) == ([20, 20, 20], 60, "a test")


def test_golden_shards_are_written_again_byte_by_byte(tmp_path):
    golden = ROOT / "tests" / "golden" / "v1" / "graphs"
    graph_corpora.write_graphs(tmp_path / "graphs", graph_corpora.read_graphs(golden), num_shards=2)
    files, written = (artefacts.read_manifest(folder)["files"] for folder in (golden, tmp_path / "graphs"))
    assert files == written


def test_empty_corpus(tmp_path):
    graph_corpora.write_graphs(tmp_path / "empty", [])
    assert list(graph_corpora.read_graphs(tmp_path / "empty")) == []


def test_damage(corpus, graphs, tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    graph_corpora.write_graphs(folder, graphs[:4], num_shards=2)
    shard = folder / "graphs-00001-of-00002.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(content[:-7])
    with pytest.raises(CorruptArtefactError, match="graphs-00001"):
        list(graph_corpora.read_graphs(folder))
    shard.unlink()
    with pytest.raises(CorruptArtefactError, match="missing"):
        list(graph_corpora.read_graphs(folder))
    with pytest.raises(ConfigurationError, match="num_shards=0"):
        graph_corpora.write_graphs(folder, graphs[:4], num_shards=0)
    monkeypatch.setattr(graph_corpora, "OPERATORS", operators.OPERATORS[:-1])
    with pytest.raises(MismatchError, match="operators that this version"):
        next(graph_corpora.read_graphs(corpus))

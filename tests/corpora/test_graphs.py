"""Corpora of computation graphs: reading back, damage, batches of few shapes."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

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
        found += [symbolic.build(name, space.architecture(cells, row), name=str(row)) for row in range(20)]
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


@pytest.mark.parametrize("seed", [None, 3])
def test_batches(corpus, graphs, seed):
    """Every graph once, in as many shapes as buckets, each batch fit for one compiled program."""
    traces = []

    @tf.function(jit_compile=True)
    def size(graph: tfgnn.GraphTensor) -> tf.Tensor:
        traces.append(graph.spec)
        return tfgnn.pool_nodes_to_context(
            graph, "op", "sum", feature_value=tf.ones_like(graph.node_sets["op"]["bias"])
        )

    seen = {}
    for batch in graph_corpora.padded_batches(corpus, batch_size=8, num_buckets=3, seed=seed):
        real = batch.context["weight"][:, 0].numpy() == 1
        labels, sizes = batch.context["label"][:, 0].numpy()[real], size(batch).numpy()[real]
        seen.update(zip(labels.tolist(), sizes.tolist(), strict=True))
        assert batch.num_components == 9
    assert len(seen) == 60
    for number, graph in enumerate(graphs):
        assert seen[number] == graph.num_nodes
    assert len(traces) == 3
    again = next(iter(graph_corpora.padded_batches(corpus, batch_size=8, num_buckets=3, seed=seed)))
    first = next(iter(graph_corpora.padded_batches(corpus, batch_size=8, num_buckets=3, seed=seed)))
    np.testing.assert_array_equal(again.context["label"], first.context["label"])


def test_families_of_a_batch(corpus):
    counted = collections.Counter()
    names = list(artefacts.read_manifest(corpus)["families"])
    for batch in graph_corpora.padded_batches(corpus, batch_size=7, num_buckets=1):
        pairs = zip(batch.context["family"][:, 0].numpy(), batch.context["weight"][:, 0].numpy(), strict=True)
        counted.update(names[code] for code, weight in pairs if weight)
    assert counted == {"mobilenetv3": 20, "nasbench201": 20, "nats_size": 20}


def test_empty_corpus(tmp_path):
    graph_corpora.write_graphs(tmp_path / "empty", [])
    assert list(graph_corpora.read_graphs(tmp_path / "empty")) == []
    assert list(graph_corpora.padded_batches(tmp_path / "empty", batch_size=4)) == []


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
        list(graph_corpora.padded_batches(folder, batch_size=2))
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        list(graph_corpora.padded_batches(corpus, batch_size=0))
    monkeypatch.setattr(graph_corpora, "OPERATORS", operators.OPERATORS[:-1])
    with pytest.raises(MismatchError, match="operators that this version"):
        next(graph_corpora.read_graphs(corpus))

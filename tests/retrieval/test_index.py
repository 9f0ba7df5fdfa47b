"""The index against a sort in NumPy; filters, changes, damage."""

import numpy as np
import pytest

from tests import plain
from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.retrieval.index import KIND, Index
from tfnas.retrieval.metrics import ranking
from tfnas.retrieval.searchers import InvertedLists

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(300, 12)) * RNG.uniform(0.1, 10, (300, 1))
NAMES = [f"net{row}" for row in range(300)]
SOURCES = [("keras", "torch", "onnx")[row % 3] for row in range(300)]
FAMILIES = [("resnet", "vit")[row % 2] for row in range(300)]


@pytest.fixture(scope="module")
def index():
    return Index(POINTS, NAMES, SOURCES, FAMILIES)


def cosines(queries):
    unit = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    return queries / np.linalg.norm(queries, axis=1, keepdims=True) @ unit.T


def test_rows_of_names(index):
    assert [index.row(name) for name in NAMES] == list(range(len(NAMES)))
    for missing in ("", "a", "net", "net0" + "0" * 90, "net1\0", "zebra", "\U0010ffff"):
        assert missing not in index
        with pytest.raises(ConfigurationError, match="holds no architecture"):
            index.row(missing)
    assert "net0" in index


def test_equal_to_sorting_all_similarities(index):
    queries = RNG.normal(size=(130, 12))
    found = index.search(queries, 7)
    similarities = cosines(queries)
    rows = ranking(similarities, 7)
    for query, matches in enumerate(found):
        assert [match.row for match in matches] == rows[query].tolist()
        np.testing.assert_allclose([match.similarity for match in matches], similarities[query, rows[query]], atol=1e-5)
        assert matches[0].name == NAMES[matches[0].row]


def test_faiss_finds_the_same(index):
    queries = RNG.normal(size=(70, 12))
    for options in ({}, {"sources": ["torch"], "without": ["net1"]}):
        one, other = (index.search(queries, 9, backend=name, **options) for name in ("tensorflow", "faiss"))
        for first, second in zip(one, other, strict=True):
            assert [match.name for match in first] == [match.name for match in second]
            similarities = [[match.similarity for match in matches] for matches in (first, second)]
            np.testing.assert_allclose(*similarities, atol=1e-5)
    with pytest.raises(ConfigurationError, match="expected one of tensorflow, faiss"):
        index.search(queries, 9, backend="scann")


def test_equal_ones_come_in_the_order_of_the_index():
    twins = Index(np.ones((5, 3)), list("abcde"), ["x"] * 5, [""] * 5)
    assert [match.name for match in twins.search(np.ones((1, 3)), 3)[0]] == ["a", "b", "c"]


def test_filters(index):
    query = POINTS[:1]
    assert index.search(query, 1)[0][0].name == "net0"
    assert index.search(query, 1, without=["net0"])[0][0].name != "net0"
    found = index.search(query, 500, sources=["torch"], families=["vit"])[0]
    assert len(found) == 50
    assert {(match.source, match.family) for match in found} == {("torch", "vit")}


def test_remove(index):
    less = index.remove(["net0", "net5"])
    assert len(less) == 298
    assert less.search(POINTS[:1], 1)[0][0].name not in ("net0", "net5")
    assert len(index) == 300


def test_saved_and_loaded_and_used_without_tfnas(index, tmp_path):
    manifest = index.save(tmp_path / "index", encoder="abc")
    assert manifest["architectures"] == 300
    assert manifest["encoder"] == "abc"
    again = Index.load(tmp_path / "index")
    queries = RNG.normal(size=(2, 12))
    assert again.search(queries, 5) == index.search(queries, 5)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "query = tf.math.l2_normalize(tf.constant(np.load(sys.argv[2]), tf.float32), axis=1)\n"
        "found = model.signatures['search'](queries=query, allowed=tf.ones([300], tf.bool), count=tf.constant(5))\n"
        "print(found['rows'].numpy().tolist())\n"
        "assert 'tfnas' not in sys.modules"
    )
    np.save(tmp_path / "queries.npy", queries)
    printed = plain.run(script, str(tmp_path / "index"), str(tmp_path / "queries.npy"), folder=tmp_path)
    assert printed.strip() == str([[match.row for match in matches] for matches in index.search(queries, 5)])
    (tmp_path / "index" / "items.npz").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match=r"items.npz"):
        Index.load(tmp_path / "index")


def test_refusals(index):
    with pytest.raises(ConfigurationError, match="'net1' occurs 2 times"):
        Index(POINTS[:3], ["net0", "net1", "net1"], ["x"] * 3, [""] * 3)
    with pytest.raises(ConfigurationError, match="0 or not finite"):
        Index(np.zeros((1, 3)), ["a"], ["x"], [""])
    with pytest.raises(ConfigurationError, match="2 names for 1 embeddings"):
        Index(np.ones((1, 3)), ["a", "b"], ["x"], [""])
    with pytest.raises(ConfigurationError, match="no family 'bert'"):
        index.search(POINTS[:1], 1, families=["bert"])
    with pytest.raises(ConfigurationError, match="no architecture 'other'"):
        index.remove(["other"])
    with pytest.raises(ConfigurationError, match=r"expected \[Q, 12\]"):
        index.search(np.ones((1, 3)), 1)
    with pytest.raises(ConfigurationError, match="no architecture of the index is allowed"):
        index.search(POINTS[:1], 1, families=["vit"], without=NAMES[1::2])


def test_lists_find_the_nearest(tmp_path):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 8))
    points = centres[rng.integers(0, 40, 4000)] + 0.3 * rng.normal(size=(4000, 8))
    names = np.arange(4000).astype(str)
    index = Index(points, names, np.full(4000, "x"), np.where(np.arange(4000) % 2, "odd", "even"))
    index.lists = InvertedLists.fit(index.embeddings)
    assert index.lists.probes < len(index.lists.centroids) / 2
    assert 0.99 <= index.lists.recall <= 1
    manifest = index.save(tmp_path / "index")
    assert manifest["ivf"]["recall"] == index.lists.recall
    again = Index.load(tmp_path / "index")
    queries = centres + 0.3 * rng.normal(size=centres.shape)
    exact, found = again.search(queries, 10, backend="tensorflow"), again.search(queries, 10)
    named = [[{match.name for match in matches} for matches in answers] for answers in (exact, found)]
    assert np.mean([len(one & other) for one, other in zip(*named, strict=True)]) >= 9.5
    # Filters and long answers fall back to the exact search.
    assert again.search(queries[:2], 10, families=["odd"]) == again.search(
        queries[:2], 10, families=["odd"], backend="tensorflow"
    )
    assert len(again.search(queries[:1], 4000)[0]) == 4000
    assert "0" not in {match.name for match in again.search(points[:1], 10, without=["0"])[0]}


def test_damaged_lists(tmp_path):
    index = Index(POINTS, NAMES, SOURCES, FAMILIES)
    index.lists = InvertedLists.fit(index.embeddings)
    index.save(tmp_path / "index")
    path = tmp_path / "index" / "lists.npz"
    arrays = artefacts.read_npz(path)
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(CorruptArtefactError, match=r"lists.npz"):
        Index.load(tmp_path / "index")
    for change in ({"members": arrays["members"] + 99}, {"centroids": arrays["centroids"][:, 1:]}, {"probes": [1, 2]}):
        artefacts.write_npz(path, **{name: np.asarray(value) for name, value in (arrays | change).items()})
        artefacts.write_manifest(tmp_path / "index", kind=KIND, architectures=300, embedding_dim=12)
        with pytest.raises(CorruptArtefactError, match="not the lists of the index"):
            Index.load(tmp_path / "index")
    with pytest.raises(ConfigurationError, match="expected 78 or more"):
        InvertedLists.fit(index.embeddings[:50])

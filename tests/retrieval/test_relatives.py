"""From a model to its relatives, their shared motifs and the page, on a small index made here."""

import csv
import html.parser
import json

import numpy as np
import pytest

import tfnas
from tests.graphs.isomorphism import equivalent
from tfnas.corpora.graphs import write_graphs
from tfnas.encoders.motif.config import preset
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.encoders.motif.task import MotifPretraining
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import pack
from tfnas.networks import symbolic
from tfnas.retrieval import answer as answer_module
from tfnas.retrieval import filters
from tfnas.retrieval.builder import Holding, build_index, gather
from tfnas.retrieval.clusters import draw_dendrogram
from tfnas.retrieval.collection import Collection, read_collection
from tfnas.retrieval.explanation import explain
from tfnas.retrieval.index import Index
from tfnas.retrieval.page import write_page
from tfnas.retrieval.relatives import Retriever
from tfnas.spaces import get_space


def networks():
    """Ten networks of each of two spaces."""
    found = []
    for name in ("nasbench101", "nasbench201"):
        space = get_space(name)
        cells = space.sample(10, np.random.default_rng(0))
        found += [
            symbolic.build(space, space.architecture(cells, row), name=f"net<{row}>", source=name[-3:])
            for row in range(10)
        ]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrieval")
    write_graphs(folder / "corpus", networks())
    collection = Collection.from_corpora([folder / "corpus"])
    config = preset("tfnas", width=8, embedding_dim=8, neighbourhood_width=48, batch_size=8)
    MotifPretraining(config, collection.graphs).run(folder, epochs=1, seed=1)
    build_index(Holding(collection), SavedMotifEncoder(folder / "encoder"), folder / "index")
    return folder


@pytest.fixture(scope="module")
def retriever(folder):
    return Retriever.load(folder / "index", folder / "encoder")


def test_a_graph_finds_itself_and_a_name_does_not(retriever):
    graph = networks()[3]
    answer = retriever.relatives(graph, 5)
    assert answer[0].match.name == "101/net<3>"
    assert answer[0].match.similarity == pytest.approx(1, abs=1e-5)
    assert (answer[0].covered, answer[0].similarity, answer[0].same_structure) == (1, 1, True)
    assert answer[0].differences == ()
    named = retriever.relatives("101/net<3>", 5)
    assert [relative.name for relative in named][:4] == [relative.name for relative in answer][1:]


def test_shared_motifs_are_in_both(retriever):
    answer = retriever.relatives(networks()[3], 20)
    assert answer.sizes.sum() == networks()[3].num_nodes
    for relative in answer:
        assert relative.sizes.sum() == relative.operators
        assert relative.pieces.max() < len(answer.kinds)
        assert 0 <= relative.covered <= 1
        for motif in relative.shared:
            assert motif.in_query >= 1
            assert motif.in_relative >= 1
            assert motif.operators in answer.kinds
    held = answer.pieces >= 0
    assert [len(answer.kinds[piece]) for piece in answer.pieces[held]] == answer.sizes[held].tolist()


def test_twins_share_a_line(retriever, folder):
    """A wider copy has the structure of its original; --all gives both a line."""
    original = networks()[3]
    wider = original.replace(shapes=original.shapes * 2, name="wider", parameters=original.parameters * 4)
    twins = Collection.concatenate([retriever.index.collection, Collection.from_graphs([wider])])
    wide = Retriever(build_index(Holding(twins), retriever.encoder, folder / "twins"), retriever.encoder)
    (first, *rest) = wide.relatives(original, 20)
    assert first.same_structure
    assert [first.name, *(twin.name for twin in first.twins)] == ["101/net<3>", "101/wider"]
    assert "101/wider" not in [relative.name for relative in rest]
    (one, other, *_) = wide.relatives(wider.replace(name="query"), 20, twins=True)
    assert (one.name, other.name) == ("101/wider", "101/net<3>")  # of equal structures the closest size comes first
    assert (one.twins, other.same_structure) == ((), True)


def test_filters_and_wrong_questions(retriever, folder):
    answer = retriever.relatives(networks()[3], 20, families=["nasbench201"])
    assert {relative.family for relative in answer} == {"nasbench201"}
    sizes = np.sort(retriever.index.collection.parameters)
    assert {
        relative.parameters for relative in retriever.relatives(networks()[3], 20, max_parameters=int(sizes[4]))
    } <= {*sizes[:5].tolist()}
    work = np.sort(retriever.index.collection.multiply_adds)
    found = retriever.relatives(networks()[3], 20, max_multiply_adds=int(work[4]))
    assert max(relative.multiply_adds for relative in found) <= work[4]
    pooled = retriever.relatives(networks()[3], 20, has=["max_pool"], families=["nasbench101"])
    for relative in pooled:
        assert "max_pool" in retriever.index.collection.graph(relative.match.row).operator_names
    with pytest.raises(ConfigurationError, match="no architecture of the index is allowed"):
        retriever.relatives(networks()[3], has=["attention"])
    with pytest.raises(ConfigurationError, match="has='attend', expected 'attention' or one of"):
        retriever.relatives(networks()[3], has=["attend"])
    with pytest.raises(ConfigurationError, match="other: no such file or folder"):
        retriever.relatives("other")
    with pytest.raises(ConfigurationError, match=r"input_shape: for a model, and 101/net<3> is an indexed"):
        retriever.relatives("101/net<3>", input_shape=(1, 8, 8, 3))
    index = Index.load(folder / "index")
    index.manifest["encoder"] = "another"
    with pytest.raises(MismatchError, match="not made with the encoder"):
        Retriever(index, retriever.encoder)
    for words, facts in (("graphs", (None, index.calibration)), ("calibration", (index.collection, None))):
        bare = Index(index.embeddings, index.names, index.sources, index.families, *facts)
        bare.manifest = retriever.index.manifest
        with pytest.raises(ConfigurationError, match=f"holds no {words}"):
            Retriever(bare, retriever.encoder)


def test_attention_is_a_product_that_reads_a_softmax():
    graphs = [
        chain("input", "softmax", "matmul").replace(name="a"),
        chain("input", "matmul", "softmax").replace(name="b"),
    ]
    collection = Collection.from_graphs(graphs)
    assert filters.allowed(collection, None, None, ["attention"]).tolist() == [True, False]
    assert filters.allowed(collection, None, None, ["attention", "matmul"]).tolist() == [True, False]
    assert not filters.allowed(collection, 10**9, None, []).any()  # unknown numbers pass no limit


def test_models_side_by_side(retriever):
    graph = networks()[3]
    same = retriever.compare(graph, "101/net<3>")
    assert (same.similarity, same.covered, same.same_structure, same.differences) == (1, (1, 1), True, ())
    pair = retriever.compare("101/net<3>", "201/net<1>")
    back = retriever.compare("201/net<1>", "101/net<3>")
    assert pair.covered == back.covered[::-1]
    assert pair.similarity == back.similarity < 1
    assert pair.cosine == pytest.approx(back.cosine, abs=1e-6)
    assert "of the operators of net<3> are shared by" in str(pair).replace("101/", "")


def test_clusters(retriever, tmp_path):
    """Three copies with other names are near-duplicates; the network of another space comes last."""
    graph = networks()[3]
    copies = [graph.replace(name=name) for name in ("one", "two", "three")]
    clusters = retriever.clusters([*copies, "201/net<1>"])
    assert len(clusters.near_duplicates()) == 3
    assert clusters.tree[:2, 2] == pytest.approx([0, 0], abs=1e-6)
    assert 3 in clusters.tree[2, :2]
    assert "near-duplicates: 101/one and 101/two, 100 %" in str(clusters)
    draw_dendrogram(clusters, tmp_path / "tree.png")
    assert "101/three" in (tmp_path / "tree.svg").read_text()
    with pytest.raises(ConfigurationError, match="1 models, expected two or more"):
        retriever.clusters([graph])


class Checker(html.parser.HTMLParser):
    """Every element is closed in order; nothing is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        assert not values.get("href")
        assert values.get("src", "data:").startswith("data:")
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_and_table(retriever, tmp_path):
    answer = retriever.relatives(networks()[3], 4)
    write_page(answer, retriever.index, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    words = " ".join(checker.text)
    assert "Relatives of 101/net<3>" in words
    assert page.count("class='strip'") == 5
    assert page.count("data:image/svg+xml") == 6  # the query beside each of three
    for relative in answer[:3]:
        size = f"{relative.operators:,} operators, {relative.parameters / 1e6:.1f} M parameters"
        assert f"{relative.name}: {size}" in words
    kinds = json.loads(page.partition("const kinds = ")[2].partition(";\n")[0])
    assert len(kinds) == len(answer.kinds)
    chart = json.loads(page.partition("const map = ")[2].partition(";\n")[0])
    assert [point[3] for point in chart["points"]] == retriever.index.names.tolist()
    assert {chart["families"][label[2]] for label in chart["labels"]} == {"nasbench101", "nasbench201"}
    assert chart["ranks"] == {str(relative.match.row): rank for rank, relative in enumerate(answer, start=1)}
    table = answer_module.relatives_table(answer)
    assert "| 101/net<3> " in table
    assert "100 %" in table


def test_files_of_an_answer(retriever, tmp_path):
    answer = retriever.relatives(networks()[3], 4)
    for name in ("a.json", "a.csv"):
        answer_module.write_relatives(answer, tmp_path / name)
    record = json.loads((tmp_path / "a.json").read_text())
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [relative["name"] for relative in record["relatives"]]
    assert record["relatives"][0]["cosine"] == pytest.approx(1, abs=1e-5)
    assert float(rows[1]["covered"]) == answer[1].covered
    assert record["unlike"] is False


def test_collection_survives_its_file(folder, tmp_path):
    collection = Collection.from_corpora([folder / "corpus"])
    again = Index.load(folder / "index").collection
    assert again.names.tolist() == collection.names.tolist()
    assert again.families.tolist() == collection.families.tolist()
    for row in (0, 13):
        original = networks()[row]
        assert equivalent(again.graph(row), original)  # the shapes of these networks imply all parameters
        assert again.parameters[row] == original.total_parameters
    with pytest.raises(ConfigurationError, match="no architectures"):
        Collection.from_graphs([])
    from tfnas import artefacts

    artefacts.write_npz(tmp_path / "broken.npz", names=collection.names)
    with pytest.raises(artefacts.CorruptArtefactError, match="no array"):
        read_collection(tmp_path / "broken.npz")


def test_equal_structures_count_once():
    first, second = networks()[:2]
    wider = first.replace(shapes=first.shapes * 2, name="wider")
    assert Collection.from_graphs([first, wider, second]).distinct().names.tolist() == ["101/net<0>", "101/net<1>"]


def test_index_with_graphs_grows_and_shrinks(retriever, folder):
    less = retriever.index.remove(["101/net<0>"])
    assert len(less.collection) == 19
    extra = networks()[0].replace(name="new")
    write_graphs(folder / "more", [extra], packages={"101": {"version": "1", "licence": "MIT"}})
    holding = gather([folder / "more"], retriever.encoder, add_to=folder / "index", remove=["101/net<0>"])
    assert holding.collection.names.tolist() == [*less.names, "101/new"]
    assert equivalent(holding.collection.graph(19), extra)
    embedded = []

    class Encoder:
        fingerprint = retriever.encoder.fingerprint

        def embed(self, graphs):
            embedded.append(len(graphs))
            return retriever.encoder.embed(graphs)

    more = build_index(holding, Encoder(), folder / "grown")
    assert embedded == [1]
    np.testing.assert_allclose(more.embeddings[19], retriever.index.embeddings[0], atol=1e-6)
    assert more.manifest["packages"] == {"101": {"version": "1", "licence": "MIT"}}
    again = gather([], retriever.encoder, add_to=folder / "grown", remove=["101/new"])
    assert again.packages == more.manifest["packages"]
    build_index(again, Encoder(), folder / "grown")
    assert embedded == [1]
    with pytest.raises(ConfigurationError, match="--remove needs the index"):
        gather([folder / "more"], retriever.encoder, remove=["101/net<0>"])
    with pytest.raises(ConfigurationError, match="--corpus is empty"):
        gather([], retriever.encoder, add_to=folder / "index")


def test_the_explanation_needs_no_motifs_of_an_encoder(retriever, folder, monkeypatch):
    """Another encoder of graphs finds other relatives; what a pair shares is the same."""
    other = tfnas.load("cg_encoder")
    build_index(Holding(retriever.index.collection), other, folder / "other")
    with pytest.raises(MismatchError, match="not made with the encoder"):
        Retriever.load(folder / "other", folder / "encoder")
    again = Retriever.load(folder / "other")  # the shipped encoder that the index was made with
    assert again.encoder.folder == other.folder
    shares = [
        {relative.name: relative.covered for relative in source.relatives("101/net<3>", 19)}
        for source in (retriever, again)
    ]
    assert shares[0] == shares[1]


def test_what_chains_share():
    """Of seven operators in a row, the relative holds the last five behind the same operator."""
    query, relative = (chain(*names.split()) for names in (
        "input conv batch_norm relu conv softmax output", "input matmul conv batch_norm relu conv softmax output"
    ))  # fmt: skip
    found = explain(pack(query), pack([relative, chain("input", "output")]))
    # A code tells the operators that a node reads: `conv` behind `input` is not `conv` behind `matmul`.
    assert list(found.kinds) == [("input",), ("batch_norm", "relu", "conv", "softmax", "output")]
    assert found.relatives[0].pieces.tolist() == found.pieces.tolist() == [0, -1, 1]
    assert found.relatives[0].sizes.tolist() == [1, 2, 5]
    assert found.sizes.tolist() == [1, 1, 5]
    assert found.relatives[1].pieces.tolist() == [0, -1]
    assert found.relatives[0].motifs[0].in_relative == 1


def chain(*names):
    count = len(names)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    return smallest_graph().replace(
        operators=[CODES[name] for name in names], shapes=np.ones((count, 6)), kernels=np.zeros((count, 2)),
        bias=np.zeros(count), parameters=np.zeros(count), edges=edges,
    )  # fmt: skip

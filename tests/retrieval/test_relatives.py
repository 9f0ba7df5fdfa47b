"""From a model to its relatives, their shared motifs and the page, on a small index made here."""

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
from tfnas.retrieval import relatives
from tfnas.retrieval.builder import build_index, gather
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
    build_index(collection, SavedMotifEncoder(folder / "encoder"), folder / "index")
    return folder


@pytest.fixture(scope="module")
def retriever(folder):
    return Retriever.load(folder / "index", folder / "encoder")


def test_a_graph_finds_itself_and_a_name_does_not(retriever):
    graph = networks()[3]
    answer = retriever.relatives(graph, 5)
    assert answer.relatives[0].match.name == "101/net<3>"
    assert answer.relatives[0].match.similarity == pytest.approx(1, abs=1e-5)
    assert answer.relatives[0].covered == 1
    named = retriever.relatives("101/net<3>", 5)
    assert [relative.name for relative in named.relatives][:4] == [relative.name for relative in answer.relatives][1:]


def test_shared_motifs_are_in_both(retriever):
    answer = retriever.relatives(networks()[3], 20)
    assert answer.sizes.sum() == networks()[3].num_nodes
    for relative in answer.relatives:
        assert relative.sizes.sum() == relative.operators
        common = set(relative.pieces.tolist()) - {-1}
        assert common <= set(answer.pieces.tolist())
        shown = answer.sizes[np.isin(answer.pieces, list(common))].sum() / answer.sizes.sum()
        assert shown <= relative.covered + 1e-9  # a longer motif may hide a shorter one that is held too
        assert relative.covered <= 1
        for motif in relative.shared:
            kind = answer.kinds.index(motif.operators)
            assert motif.in_query >= 1
            assert motif.in_relative >= 1
            assert kind in range(len(answer.kinds))
    assert all(len(kind) == size for kind, size in zip(
        (answer.kinds[piece] for piece in answer.pieces), answer.sizes, strict=True
    ))  # fmt: skip


def test_filters_and_wrong_questions(retriever, folder):
    answer = retriever.relatives(networks()[3], 20, families=["nasbench201"])
    assert {relative.family for relative in answer.relatives} == {"nasbench201"}
    with pytest.raises(ConfigurationError, match="other: no such file or folder"):
        retriever.relatives("other")
    with pytest.raises(ConfigurationError, match=r"input_shape: for a model, and 101/net<3> is an indexed"):
        retriever.relatives("101/net<3>", input_shape=(1, 8, 8, 3))
    index = Index.load(folder / "index")
    index.manifest["encoder"] = "another"
    with pytest.raises(MismatchError, match="not made with the encoder"):
        Retriever(index, retriever.encoder)
    bare = Index(index.embeddings, index.names, index.sources, index.families)
    bare.manifest = retriever.index.manifest
    with pytest.raises(ConfigurationError, match="holds no graphs"):
        Retriever(bare, retriever.encoder)


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
    assert page.count("data:image/svg+xml") == 4
    for relative in answer.relatives[:3]:
        size = f"{relative.operators:,} operators, {relative.parameters / 1e6:.1f} M parameters"
        assert f"{relative.name}: {size}" in words
    kinds = json.loads(page.partition("const kinds = ")[2].partition(";")[0])
    assert len(kinds) == len(answer.kinds)
    table = relatives.relatives_table(answer)
    assert "| 101/net<3> " in table
    assert "100 %" in table


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
    write_graphs(folder / "more", [extra])
    more = gather([folder / "more"], retriever.encoder, add_to=folder / "index", remove=["101/net<0>"])
    assert more.names.tolist() == [*less.names, "101/new"]
    assert equivalent(more.graph(19), extra)
    with pytest.raises(ConfigurationError, match="--remove needs the index"):
        gather([folder / "more"], retriever.encoder, remove=["101/net<0>"])
    with pytest.raises(ConfigurationError, match="--corpus is empty"):
        gather([], retriever.encoder, add_to=folder / "index")


def test_the_explanation_needs_no_motifs_of_an_encoder(retriever, folder, monkeypatch):
    """Another encoder of graphs finds other relatives; what a pair shares is the same."""
    other = tfnas.load("cg_encoder")
    build_index(retriever.index.collection, other, folder / "other")
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
    found = explain(pack([query, relative, chain("input", "output")]))
    # A code tells the operators that a node reads: `conv` behind `input` is not `conv` behind `matmul`.
    assert list(found.kinds) == [("input",), ("conv",), ("batch_norm", "relu", "conv", "softmax", "output")]
    assert [shared.covered for shared in found.relatives] == [5 / 7, 0]
    assert found.relatives[0].pieces.tolist() == [0, -1, 2]
    assert found.relatives[0].sizes.tolist() == [1, 2, 5]
    assert found.relatives[0].motifs[0].in_relative == 1


def chain(*names):
    count = len(names)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    return smallest_graph().replace(
        operators=[CODES[name] for name in names], shapes=np.ones((count, 6)), kernels=np.zeros((count, 2)),
        bias=np.zeros(count), parameters=np.zeros(count), edges=edges,
    )  # fmt: skip

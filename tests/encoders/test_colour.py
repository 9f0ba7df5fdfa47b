"""The encoder of colours: its colours, weights and scales against plain NumPy, and what it does with strangers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders.test_registry import graphs as cells
from tfnas import encoders
from tfnas.encoders.colour.colours import colours
from tfnas.encoders.colour.config import ColourEncoderConfig
from tfnas.encoders.colour.fitting import fit, occurrences
from tfnas.encoders.colour.task import ColourFitting, export
from tfnas.encoders.colour.validation import Precision, precision
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph, to_example
from tfnas.graphs.motifs import weisfeiler_lehman
from tfnas.graphs.neighbourhoods import mixed
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import embed_packed, pack

CONFIG = ColourEncoderConfig(rounds=2, embedding_dim=64)


def graph(operators, edges, kernels=None, **facts):
    count = len(operators)
    zeros = np.zeros(count, np.int64)
    return ComputationGraph(
        operators=np.array([CODES[name] for name in operators], np.int64),
        shapes=np.zeros((count, 6), np.int64),
        kernels=np.array(kernels if kernels is not None else [[0, 0]] * count, np.int64),
        bias=zeros,
        parameters=zeros,
        edges=np.array(edges, np.int64).reshape(-1, 2),
        **facts,
    )


def chain(*operators, **facts):
    return graph(operators, [(node, node + 1) for node in range(len(operators) - 1)], **facts)


@st.composite
def random_graphs(draw):
    count = draw(st.integers(2, 8))
    operators = draw(st.lists(st.sampled_from(["conv", "relu", "add", "max_pool"]), min_size=count, max_size=count))
    pairs = [(source, target) for target in range(count) for source in range(target)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    kernels = draw(
        st.lists(st.tuples(st.sampled_from([1, 3]), st.sampled_from([3, 5])), min_size=count, max_size=count)
    )
    return graph(operators, sorted(edges), kernels)


def refined(one, rounds):
    """Colours as nested tuples, block by block, for graphs in which nothing is passed over."""
    first = [(int(code), *kernel) for code, kernel in zip(one.operators, one.kernels.tolist(), strict=True)]
    blocks = [first]
    for start, end in ((0, 1), (1, 0)):
        colour = first
        for _ in range(rounds):
            heard = [
                sorted(colour[edge[start]] for edge in one.edges.tolist() if edge[end] == node)
                for node in range(len(first))
            ]
            colour = [(own, tuple(others)) for own, others in zip(colour, heard, strict=True)]
            blocks.append(colour)
    return blocks


@pytest.fixture(scope="module")
def known():
    return pack(cells())


@pytest.fixture(scope="module")
def found(known):
    return occurrences(known, CONFIG.rounds)


def test_the_hash_is_the_one_of_the_graphs():
    values = np.random.default_rng(0).integers(0, 2**63, 100).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    np.testing.assert_array_equal(mixed(tf.constant(values)).numpy(), weisfeiler_lehman.mixed(values))


@settings(max_examples=25, deadline=None)
@given(st.lists(random_graphs(), min_size=1, max_size=3))
def test_colours_are_equal_where_neighbourhoods_are(graphs):
    result = colours(pack(graphs).flat_batch(), 2)
    names = result.names.numpy()
    assert result.counted.numpy().tolist() == [True] * (names.shape[1] - 1) + [False]
    expected = [(block, colour) for block in range(5) for one in graphs for colour in refined(one, 2)[block]]
    given_names = names[:, :-1].ravel().tolist()
    assert len(set(zip(expected, given_names, strict=True))) == len(set(expected)) == len(set(given_names))


def test_padding_is_passed_over():
    """conv -> pad -> pad -> 1x1 pool -> conv reads as conv -> conv; a pad of two sources stays."""
    plain = chain("conv", "conv", "relu")
    padded = graph(
        ["conv", "pad", "pad", "max_pool", "conv", "relu"],
        [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
        [[0, 0], [0, 0], [0, 0], [1, 1], [0, 0], [0, 0]],
    )
    joined = graph(["conv", "conv", "pad", "conv", "relu"], [(0, 2), (1, 2), (2, 3), (3, 4)])
    matrix = occurrences(pack([plain, padded, joined]), 2).matrix.toarray()
    np.testing.assert_array_equal(matrix[0], matrix[1])
    assert (matrix[2] > matrix[0]).any()


def test_first_parts_are_tf_idf_in_principal_directions(known, found):
    """With all directions, the cosines of first parts are those of tf-idf vectors with unit length per block."""
    model = fit(dataclasses.replace(CONFIG, learned_share=0.0), found, known.family, 0)
    embeddings = model.embed(known)
    assert embeddings.shape == (24, model.size)
    dense = found.matrix.toarray()
    frequency = dense.sum(axis=0)
    kept = frequency >= 2
    weighed = dense[:, kept] * (1 + np.log(25 / (1 + frequency[kept]))) ** 0.75
    for block in range(5):
        columns = found.blocks[kept] == block
        weighed[:, columns] /= np.linalg.norm(weighed[:, columns], axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings @ embeddings.T, weighed @ weighed.T / 5, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-6)


def test_the_learned_part(known, found):
    """Its share grows with the nearest known cosine, and its scale makes deviations within families white."""
    plain = fit(dataclasses.replace(CONFIG, learned_share=0.0), found, known.family, 0).embed(known)[:, :-1]
    rows = np.arange(12)
    model = fit(CONFIG, found, np.where(np.isin(np.arange(24), rows), known.family, -1), 0)
    size = plain.shape[1]
    embeddings = model.embed(known)
    assert embeddings.shape[1] == 2 * size + 1
    nearest = (plain @ plain[rows].T).max(axis=1)
    share = 0.9 * np.clip((nearest - 0.45) / (0.85 - 0.45), 0, 1)
    np.testing.assert_allclose((embeddings[:, size:-1] ** 2).sum(axis=1), share, atol=0.01)
    np.testing.assert_allclose(embeddings[:, :size], plain * np.sqrt(1 - share)[:, None], atol=0.01)
    family = known.family[rows]
    deviations = plain[rows] - np.stack([plain[rows][family == one].mean(axis=0) for one in family])
    covariance = deviations.T @ deviations / len(rows)
    values, vectors = np.linalg.eigh(covariance)
    scale = vectors @ np.diag((values + 0.05 * values.mean()) ** -0.5) @ vectors.T
    learned = plain @ scale
    learned /= np.linalg.norm(learned, axis=1, keepdims=True)
    cosines = embeddings[rows, size:-1] @ embeddings[rows, size:-1].T / share[rows][:, None]
    np.testing.assert_allclose(cosines, learned[rows] @ learned[rows].T, atol=0.05)


@pytest.fixture(scope="module")
def model(known, found):
    return fit(CONFIG, found, known.family, 0)


def test_a_graph_without_a_known_colour_is_like_nothing(known, model):
    strange = model.embed(pack([chain("fft", "lstm", "gru")]))
    np.testing.assert_array_equal(strange[0], np.eye(model.size)[-1])
    np.testing.assert_allclose(model.embed(known)[:, -1], 0.0)


def test_an_embedding_does_not_depend_on_the_batch(known, model):
    encode = tf.function(model.encode, reduce_retracing=True)
    single = np.concatenate([embed_packed(encode, known[[row]]) for row in (0, 7, 23)])
    np.testing.assert_allclose(single, model.embed(known)[[0, 7, 23]], atol=1e-6)


def test_export(known, model, tmp_path):
    export(model, tmp_path / "encoder")
    saved = encoders.load(tmp_path / "encoder")
    np.testing.assert_allclose(saved.embed(known), model.embed(known), atol=1e-6)
    examples = tf.constant([to_example(one).SerializeToString() for one in cells()[:2]])
    np.testing.assert_allclose(saved.embed_records(examples), saved.embed(known)[:2], atol=1e-6)


def families_of_chains():
    """Five families of six chains each: a family shares a tail, whatever comes before."""
    rng = np.random.default_rng(0)
    tails = (("conv", "tanh", "conv"), ("matmul", "gelu", "matmul"), ("conv", "elu", "add"), ("conv", "selu", "mul"))
    tails = (*tails, ("matmul", "softplus", "matmul"))
    kinds = ("relu", "sigmoid", "mean", "sum", "max", "abs", "exp")
    return pack(
        chain(*rng.choice(kinds, 12), *tail, family=f"{number}") for number, tail in enumerate(tails) for _ in range(6)
    )


def test_precision_is_that_of_splits():
    """Families that share a rare tail are found by both encoders; families of a single graph can't be measured."""
    graphs = families_of_chains()
    measured = precision(CONFIG, graphs, occurrences(graphs, 2), graphs.family, [0])
    assert 0.5 < measured.families_of_colours <= 1.0
    assert 0.5 < measured.architectures <= 1.0
    alone = precision(CONFIG, graphs, occurrences(graphs, 2), np.arange(30), [0])
    assert alone is None


@pytest.mark.parametrize(("families", "used"), [(0.49, False), (0.5, True)])
def test_the_learned_part_is_left_out_if_it_does_not_help(families, used, monkeypatch):
    """Known families must gain, and unseen families must not lose."""
    measured = Precision(0.8, families, architectures_of_colours=0.7, families_of_colours=0.5)
    monkeypatch.setattr("tfnas.encoders.colour.task.precision", lambda *_: measured)
    fitting = ColourFitting(CONFIG, families_of_chains())
    model, facts = fitting.fit(0)
    assert facts["learned_part"] == used
    assert model.size == (2 if used else 1) * model.directions.shape[1] + 1
    assert facts["mean_average_precision"] == dataclasses.asdict(measured)
    text = fitting.headline({**fitting.facts(), **facts})
    assert ("the learned part is used" if used else "the learned part is left out, for it does not help") in text


def test_embedders_are_the_fitted_encoders(known):
    fitting = ColourFitting(ColourEncoderConfig(), known)
    for learned in (True, False):
        config = dataclasses.replace(fitting.config, **({} if learned else {"learned_share": 0.0}))
        model = fit(config, occurrences(fitting.graphs, config.rounds), fitting.family, 1)
        np.testing.assert_array_equal(fitting.embedders(learned, 1)(known)(known), model.embed(known))


def test_families_are_asked_for(tmp_path):
    graphs = dataclasses.replace(families_of_chains(), families=("",) * 5)
    fitting = ColourFitting(CONFIG, graphs)
    summary = fitting.run(tmp_path, seed=0)
    assert not summary["learned_part"]
    assert summary["mean_average_precision"] is None
    assert "it needs families of several architectures" in fitting.headline(summary)
    assert (tmp_path / "map.png").stat().st_size
    assert encoders.load(tmp_path / "encoder").manifest["training"]["colours"] == summary["colours"]


def test_bad_settings_and_data():
    with pytest.raises(ConfigurationError, match=r"similarity_high=0.4, expected more than similarity_low=0.45"):
        ColourEncoderConfig(similarity_high=0.4)
    with pytest.raises(ConfigurationError, match="1 structures, expected at least least_graphs=2"):
        ColourFitting(CONFIG, pack([chain("conv", "relu")])).check()
    different = pack([chain("conv", "conv"), chain("relu", "relu")])
    with pytest.raises(ConfigurationError, match="2 graphs: no neighbourhood occurs in 2 of them"):
        fit(CONFIG, occurrences(different, 2), different.family, 0)

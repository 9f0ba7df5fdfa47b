"""The autoencoder against its NumPy twin, and its loss against numbers worked out by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from reproductions.arch2vec import published_metrics
from reproductions.arch2vec.table1 import METHODS
from tests.reference import arch2vec as reference
from tests.reference import graphs
from tfnas.encoders.arch2vec import metrics
from tfnas.encoders.arch2vec.config import PRESETS, Arch2VecConfig, preset
from tfnas.encoders.arch2vec.model import Arch2Vec, Posterior, batch_loss, loss_terms
from tfnas.encoders.arch2vec.saved import open_encoder
from tfnas.encoders.arch2vec.task import Arch2VecTask
from tfnas.errors import ConfigurationError
from tfnas.graphs import cells as cell_graphs
from tfnas.graphs import gnn
from tfnas.spaces import ABSENT, Architecture, Darts, NASBench101, NASBench201, NATSSize, nasbench101
from tfnas.training.loop import Minibatch

SMALL = {"hidden_dims": (12, 10), "embedding_dim": 4, "decoder_dim": 6}


def small_model(name, space, seed=1, **changes):
    """A small model whose batch-norm statistics and epsilons are not the initial ones."""
    model = Arch2Vec(preset(name, **SMALL, **changes), space.max_vertices, len(space.operations), seed)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if any(part in variable.name for part in ("moving", "epsilon", "successor")):
            variable.assign(rng.uniform(0.1, 1.0, variable.shape))
    return model


@pytest.mark.parametrize("name", list(PRESETS))
def test_encoder_agrees_with_numpy(name, space, rng):
    model = small_model(name, space)
    cells = space.sample(6, rng)
    ops, adjacency = cells.one_hot(len(space.operations)), cells.adjacency.astype(np.float32)
    posterior = model.encode(ops, adjacency)
    for row in range(6):
        mean, log_stddev = reference.encode(model, ops[row], adjacency[row])
        np.testing.assert_allclose(posterior.mean[row], mean, atol=1e-5)
        np.testing.assert_allclose(posterior.log_stddev[row], log_stddev, atol=1e-5)
        count = int(cells.num_vertices[row]) if model.config.mask_padding else space.max_vertices
        pooled = mean[:count].sum(0) if model.config.pooling == "sum" else mean[:count].mean(0)
        np.testing.assert_allclose(model.embed(ops, adjacency)[0][row], pooled, atol=1e-5)


def test_graph_convolutions_agree_with_numpy(space, rng):
    """GAE's encoder: D^-1/2 (A + A' + I) D^-1/2 H W, with ReLU, and linear heads."""
    config = preset("tfnas", **SMALL, **METHODS["GAE"])
    model = Arch2Vec(config, space.max_vertices, len(space.operations), seed=1)
    cells = space.sample(4, rng)
    ops, adjacency = cells.one_hot(len(space.operations)), cells.adjacency.astype(np.float32)
    mean, _ = model.encode(ops, adjacency)
    for row in range(4):
        both = adjacency[row] + adjacency[row].T + np.eye(space.max_vertices)
        scale = 1 / np.sqrt(both.sum(axis=1))
        x = ops[row].astype(np.float64)
        for layer in model.graph_layers:
            x = np.maximum(reference.linear(layer, scale[:, None] * both * scale @ x), 0)
        np.testing.assert_allclose(mean[row], reference.linear(model.mean_head, x), atol=1e-5)


@pytest.mark.parametrize("changes", [{}, METHODS["VGAE"]])
def test_graph_tensor_and_dense_view_agree(changes, space, rng):
    model = small_model("tfnas", space, **changes)
    cells = space.sample(9, rng)
    ops, adjacency = cells.one_hot(len(space.operations)), cells.adjacency.astype(np.float32)
    encoded = model(cell_graphs.to_graph_tensor(cells))
    embedding, posterior = model.embed(ops, adjacency)
    np.testing.assert_allclose(encoded.context["embedding"], embedding, atol=1e-5)
    np.testing.assert_allclose(
        encoded.node_sets["vertex"]["mean"], posterior.mean.numpy()[cells.vertex_mask], atol=1e-5
    )
    assert isinstance(encoded, gnn.GraphTensor)


def test_gradients_of_both_views_agree(small_nasbench101, rng):
    space = small_nasbench101
    model = small_model("tfnas", space)
    cells = space.sample(9, rng)
    ops, adjacency = cells.one_hot(5), cells.adjacency.astype(np.float32)
    weights = model.graph_layers[0].trainable_variables + model.mean_head.trainable_variables
    with tf.GradientTape() as tape:
        dense = tf.reduce_sum(model.embed(ops, adjacency)[0] ** 2)
    dense_gradients = tape.gradient(dense, weights)
    with tf.GradientTape() as tape:
        ragged = tf.reduce_sum(model(cell_graphs.to_graph_tensor(cells)).context["embedding"] ** 2)
    for first, second in zip(dense_gradients, tape.gradient(ragged, weights), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-3)


def test_padding_presets_refuse_graph_tensors(rng):
    space = NASBench201()
    with pytest.raises(ValueError, match="padded vertices"):
        small_model("published_code", space)(cell_graphs.to_graph_tensor(space.sample(2, rng)))


def test_isomorphic_cells_have_one_embedding(small_nasbench101, rng):
    """Every topological order of a cell gives the embedding of the cell."""
    space = small_nasbench101
    model = small_model("tfnas", space)
    cells = space.sample(20, rng)
    for row in range(20):
        cell = space.architecture(cells, row)
        order = random_topological_order(cell, rng)
        twin = Architecture(tuple(cell.operations[i] for i in order), cell.adjacency[np.ix_(order, order)])
        assert graphs.isomorphic(cell, twin)
        pair = [np.stack(part) for part in zip(space.encode(cell), space.encode(twin), strict=True)]
        embedding, _ = model.embed(*pair)
        np.testing.assert_allclose(embedding[0], embedding[1], atol=1e-5)


def test_a_cell_and_its_pruned_self_have_one_embedding():
    adjacency = np.zeros((4, 4))
    adjacency[0, 1] = adjacency[1, 3] = 1
    names = ("input", "conv3x3-bn-relu", "maxpool3x3", "output")
    cell = Architecture(names, adjacency)
    first, second = open_encoder(None, NASBench101()).embed([cell, nasbench101.prune(cell)])
    np.testing.assert_array_equal(first, second)


def random_topological_order(cell, rng):
    """Vertices in a random order in which every edge points forward, input first and output last."""
    remaining, order = list(range(cell.num_vertices)), []
    while remaining:
        ready = [v for v in remaining if not cell.adjacency[remaining, v].any()]
        ready = [v for v in ready if v != cell.num_vertices - 1] or ready
        order.append(int(rng.choice(ready)))
        remaining.remove(order[-1])
    return order


def test_published_loss_agrees_with_numpy(rng):
    space = NASBench201()
    config = preset("published_code")
    cells = space.sample(5, rng)
    ops, adjacency = cells.one_hot(7), cells.adjacency.astype(np.float32)
    mean, log_stddev = (rng.normal(size=(5, 8, 16)).astype(np.float32) for _ in range(2))
    operation_logits = rng.normal(size=(5, 8, 7)).astype(np.float32)
    edge_logits = rng.normal(size=(5, 8, 8)).astype(np.float32)
    mask = tf.ones([5, 8])
    terms = loss_terms(config, ops, adjacency, mask, Posterior(mean, log_stddev), operation_logits, edge_logits)
    ours = batch_loss(config, terms, tf.ones([5]), tf.constant(5.0))
    theirs = reference.published_loss(ops, adjacency, mean, log_stddev, operation_logits, edge_logits)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_loss_by_hand():
    """One cell of two vertices, both logits 0: ln 2 per Bernoulli, ln O per vertex; KL of N(1, 1) is 1/2 per entry."""
    config = Arch2VecConfig(kl_weight=0.5)
    ops = tf.constant([[[1.0, 0, 0], [0, 0, 1.0], [0, 0, 0]]])
    adjacency = tf.constant([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]])
    mask = tf.constant([[1.0, 1.0, 0.0]])
    posterior = Posterior(tf.ones([1, 3, 4]), tf.zeros([1, 3, 4]))
    terms = loss_terms(config, ops, adjacency, mask, posterior, tf.zeros([1, 3, 3]), tf.zeros([1, 3, 3]))
    np.testing.assert_allclose(terms.operations, [2 * np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(terms.edges, [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(terms.divergence, [0.5 * 2 * 4], rtol=1e-6)
    loss = batch_loss(config, terms, tf.ones([1]), tf.constant(1.0))
    np.testing.assert_allclose(loss, 2 * np.log(3) + np.log(2) + 0.5 * 4, rtol=1e-6)


def test_filling_rows_do_not_change_loss_or_statistics(rng):
    space = NASBench201()
    cells = space.sample(8, rng)
    ops, adjacency = cells.one_hot(7), cells.adjacency.astype(np.float32)
    results = []
    for rows, weights in ((slice(0, 5), np.ones(5)), (slice(0, 8), np.array([1.0] * 5 + [0.0] * 3))):
        model = small_model("tfnas", space)
        weights = tf.constant(weights, tf.float32)
        posterior = model.encode(ops[rows], adjacency[rows], weights, training=True)
        terms = loss_terms(
            model.config,
            ops[rows],
            adjacency[rows],
            model.vertex_mask(ops[rows]),
            posterior,
            *model.decode(posterior.mean),
        )
        loss = batch_loss(model.config, terms, weights, tf.reduce_sum(weights))
        results.append([loss.numpy(), *(v.numpy() for v in model.variables if "moving" in v.name)])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5)


def test_cells_end_with_their_first_output(small_nasbench101):
    space = small_nasbench101
    logits = np.full((1, 7, 5), -1.0)
    for vertex, code in enumerate([0, 2, 4, 1, 4, 4, 0]):
        logits[0, vertex, code] = 1
    cells = metrics.cells_from_logits(space, logits, np.ones((1, 7, 7)))
    assert cells.operations[0].tolist() == [0, 2, 4, ABSENT, ABSENT, ABSENT, ABSENT]
    assert cells.adjacency[0].sum() == 3
    assert space.validate_many(cells).all()


def test_presets_follow_the_facts():
    paper, published, ours = (PRESETS[name] for name in ("paper", "published_code", "tfnas"))
    assert (paper.hidden_dims, paper.pooling, paper.operation_likelihood) == ((128,) * 4 + (16,), "sum", "softmax")
    assert (published.pooling, published.operation_likelihood, published.dropout) == ("mean", "sigmoid", 0.3)
    assert (published.training_mode_epochs, published.shuffle_each_epoch) == (1, False)
    assert {config.batch_size for config in (paper, published, ours)} == {32}
    counts = {}
    for name, operations, vertices in (("nasbench101", 5, 7), ("nasbench201", 7, 8), ("darts", 11, 11)):
        model = Arch2Vec(published, vertices, operations)
        counts[name] = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert counts == {"nasbench101": 122_617, "nasbench201": 122_907, "darts": 123_487}


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "max"},
        {"dropout": 1.0},
        {"kl_weight": float("nan")},
        {"learning_rate": 0.0},
        {"hidden_dims": ()},
        {"batch_size": 0},
    ],
)
def test_bad_settings(changes):
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        dataclasses.replace(Arch2VecConfig(), **changes)
    with pytest.raises(ConfigurationError, match="unknown preset"):
        preset("tfans")


def test_expected_uniqueness_by_drawing(rng):
    shares = [len(np.unique(rng.integers(0, 500, 300))) / 300 for _ in range(400)]
    assert metrics.expected_uniqueness(500, 300) == pytest.approx(np.mean(shares), abs=0.005)


def test_joint_samples_have_the_covariance_of_the_means(small_nasbench101, rng):
    space = small_nasbench101
    model = small_model("tfnas", space)
    cells = space.sample(400, rng)
    statistics = metrics.latent_statistics(model, cells)
    means = metrics.posterior_means(model, cells).reshape(400, -1)
    np.testing.assert_allclose(statistics.joint_root @ statistics.joint_root.T, np.cov(means.T, bias=True), atol=1e-4)
    np.testing.assert_allclose(statistics.joint_mean, means.mean(axis=0), atol=1e-5)
    present = cells.vertex_mask[:, 4]
    np.testing.assert_allclose(statistics.mean[4], means.reshape(400, 7, -1)[present, 4].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(statistics.stddev[4], means.reshape(400, 7, -1)[present, 4].std(axis=0), atol=1e-5)


@pytest.mark.parametrize(("directed", "same"), [(True, False), (False, True)])
def test_directed_messages_tell_an_edge_from_its_reverse(directed, same):
    """Two labelled graphs that are equal once the direction of one edge is forgotten."""
    ops = np.eye(5, dtype=np.float32)[[[0, 1, 1, 4], [0, 1, 1, 4]]]
    adjacency = np.zeros((2, 4, 4), np.float32)
    for source, target in ((0, 1), (0, 2), (1, 3), (2, 3)):
        adjacency[:, source, target] = 1
    adjacency[0, 0, 3], adjacency[1, 3, 0] = 1, 1
    model = Arch2Vec(preset("tfnas", **SMALL, directed_messages=directed), 4, 5, seed=1)
    values = model.embed(ops, adjacency)[0].numpy()
    assert np.allclose(values[0], values[1], atol=1e-6) == same


@pytest.mark.parametrize("decoder", ["inner_product", "bilinear", "joint"])
def test_decoders_agree_with_numpy(decoder, rng):
    space = NASBench201()
    model = small_model("tfnas", space, decoder=decoder)
    latent = rng.normal(size=(3, 8, 4)).astype(np.float32)
    operations, edges = model.decode(latent)
    for row in range(3):
        np.testing.assert_allclose(operations[row], reference.linear(model.operation_head, latent[row]), atol=1e-5)
        np.testing.assert_allclose(edges[row], reference.edge_logits(model, latent[row]), atol=1e-4)


def test_only_the_joint_decoder_tells_twins_apart():
    """Two equal chains input > a > b > output: a's edge goes to its own b, which has the latents of the other b."""
    space = NASBench101()
    operations = ("input", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "maxpool3x3", "output")
    adjacency = np.zeros((6, 6), np.uint8)
    for source, target in ((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)):
        adjacency[source, target] = 1
    ops, matrix = (part[None] for part in space.encode(Architecture(operations, adjacency)))
    for decoder, apart in (("inner_product", False), ("bilinear", False), ("joint", True)):
        model = small_model("tfnas", space, decoder=decoder)
        mean = model.encode(ops, matrix).mean
        np.testing.assert_allclose(mean[0, 1], mean[0, 2], atol=1e-5)
        edges = model.decode(mean)[1].numpy()[0]
        assert (abs(edges[1, 3] - edges[1, 4]) > 1e-3) == apart


def test_without_variation_there_is_no_noise_and_no_divergence(rng):
    space = NASBench201()
    cells = space.sample(64, rng)
    task = Arch2VecTask(preset("tfnas", **SMALL, variational=False, dropout=0.0), space, cells, cells[:8], 1, 1)
    assert task.draw(tf.constant([1, 2]), 3, 8) == {}
    batch = Minibatch(tuple(tensor[:8] for tensor in task.data), {}, tf.ones([8]), tf.constant(8.0), training=True)
    loss, parts = task.loss(batch)
    np.testing.assert_allclose(loss, parts["operations_loss"] + parts["edges_loss"], rtol=1e-6)
    assert parts["divergence"] > 0


def test_what_the_published_code_calls_valid(small_nasbench101):
    """NAS-Bench-201: edges and vertex 1 don't count. NAS-Bench-101: pruned vertices don't. DARTS: not all rules."""
    space = NASBench201()
    codes = space.enumerate().operations[:3].copy()
    codes[1, 1], codes[2, 4] = 0, 6
    nothing = np.zeros((3, 8, 8), np.uint8)
    assert published_metrics.published_validity(space, codes, nothing).tolist() == [True, True, False]
    codes = np.array([[0, 1, 4, 0, 2, 3, 4], [0, 1, 4, 0, 2, 3, 4], [0, 1, 2, 1, 2, 3, 3]], np.uint8)
    adjacency = np.zeros((3, 7, 7), np.uint8)
    adjacency[:, 0, 1] = adjacency[:, 1, 6] = 1
    adjacency[1, 0, 2] = adjacency[1, 2, 6] = 1
    valid = published_metrics.published_validity(small_nasbench101, codes, adjacency)
    assert valid.tolist() == [True, False, False]
    darts = Darts()
    cell = darts.to_table([darts.from_genotype(["skip_connect"] * 8, [0, 1] * 4)])
    adjacency = np.repeat(cell.adjacency, 3, axis=0)
    adjacency[1, :2, 10] = 1  # inputs may not feed the output, but the published code does not look
    adjacency[2, :, 4] = 0
    valid = published_metrics.published_validity(darts, np.repeat(cell.operations, 3, axis=0), adjacency)
    assert valid.tolist() == [True, True, False]
    assert published_metrics.published_validity(NATSSize(), codes, adjacency) is None


def test_what_is_said_of_samples(small_nasbench101, rng):
    """Cells of the space are valid; equal cells are not unique."""
    cells = small_nasbench101.sample(400, rng)
    judged = metrics.judge(small_nasbench101, cells)
    assert judged["validity"] == judged["uniqueness"] == 1.0
    assert metrics.judge(small_nasbench101, cells[[0, 0, 1, 1]])["uniqueness"] == 0.5

"""The motif encoder: NumPy oracles of its losses and layers, invariance, training, export."""

import functools
import itertools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import plain
from tests.graphs.test_motifs import graphs_of, permuted, random_part
from tfnas.corpora.graphs import write_graphs
from tfnas.encoders.contrastive import Members
from tfnas.encoders.motif import losses
from tfnas.encoders.motif.config import PRESETS, MotifEncoderConfig, preset
from tfnas.encoders.motif.model import AttentionConvolution, MotifEncoder, SymmetricConvolution
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.encoders.motif.splitting import Splitter
from tfnas.encoders.motif.task import MotifPretraining, RetrievalTask
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs import gnn
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.motifs.two_level import DeviceTwoLevel, TwoLevelBatch, embed_two_level, two_level_view
from tfnas.graphs.packed import FlatBatch
from tfnas.training import loop
from tfnas.training.log import MetricsLog

SMALL = {"width": 8, "embedding_dim": 12, "neighbourhood_width": 48, "batch_size": 4, "motif_anchors": 16}
RNG = np.random.default_rng(3)
PARTS = [random_part(RNG, int(RNG.integers(3, 14))) for _ in range(12)]


def packed(parts=PARTS, families=3):
    graphs = graphs_of(parts)
    object.__setattr__(graphs, "families", tuple(f"family{number}" for number in range(families)))
    object.__setattr__(graphs, "family", (np.arange(len(parts)) % families).astype(np.int32))
    return graphs


def small(name="tfnas", **changes):
    fields = {key: value for key, value in SMALL.items() if key != "neighbourhood_width" or name == "tfnas"}
    return preset(name, **{**fields, **changes})


FULL = {"macro_layers": 1, "motif_loss": "infonce"}


def embedded(config, graphs, seed=0):
    model = MotifEncoder(config, 3, seed)
    return embed_two_level(model.encode, Splitter.learned(config, graphs)(graphs))


def test_gcn_layer_against_its_matrix_form():
    states = tf.constant(RNG.normal(size=(5, 4)), tf.float32)
    sources, targets = tf.constant([0, 1, 2, 0]), tf.constant([1, 2, 4, 3])
    layer = SymmetricConvolution("gcn", 3, itertools.count(), both=False)
    found = layer(states, sources, targets, tf.ones([4]))
    degrees = np.array([1, 2, 2, 2, 2.0])
    adjacency = np.eye(5)
    adjacency[[1, 2, 4, 3], [0, 1, 2, 0]] = 1
    oracle = (adjacency / np.sqrt(degrees)[:, None] / np.sqrt(degrees)[None]) @ states.numpy()
    np.testing.assert_allclose(found, oracle @ layer.dense.kernel.numpy(), atol=1e-5)


def test_attention_layer_against_a_loop():
    states = tf.constant(RNG.normal(size=(5, 4)), tf.float32)
    ends = [(0, 1), (1, 2), (0, 2), (3, 2)]
    mask = [1.0, 1.0, 0.0, 1.0]
    layer = AttentionConvolution("gat", 8, itertools.count(), both=False)
    found = layer(states, *(tf.constant(side) for side in zip(*ends, strict=True)), tf.constant(mask)).numpy()
    queries = layer.query(states).numpy().reshape(5, 4, 2)
    values = layer.value(states).numpy().reshape(5, 4, 2)
    for node in range(5):
        heard = [node, *(a for (a, b), on in zip(ends, mask, strict=True) if b == node and on)]
        for head in range(4):
            sums = np.array([queries[node, head] + values[other, head] for other in heard])
            weight = np.exp((layer.attention.numpy()[head] * np.where(sums > 0, sums, 0.2 * sums)).sum(1))
            expected = (weight[:, None] * values[heard, head]).sum(0) / weight.sum()
            np.testing.assert_allclose(found[node, 2 * head : 2 * head + 2], expected, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [small(), small(**FULL), small("paper"), small("gcn"), small("gat")],
    ids=["tfnas", "all levels", "paper", "gcn", "gat"],
)
def test_embeddings_do_not_depend_on_the_numbers_of_nodes(config):
    graphs = packed()
    renamed = packed([permuted(part, np.random.default_rng(7)) for part in PARTS])
    model = MotifEncoder(config, 3, 1)
    splitter = Splitter.learned(config, graphs)
    first, second = (embed_two_level(model.encode, splitter(part)) for part in (graphs, renamed))
    np.testing.assert_allclose(first, second, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, atol=0.02)
    assert first.shape == (12, config.size)


def test_a_batch_equals_its_graphs_one_by_one_and_the_device_cuts_the_same():
    config, graphs = small(**FULL), packed()
    levels = Splitter.learned(config, graphs)(graphs)
    model = MotifEncoder(config, 3, 1)
    whole = model.encode(levels.flat_batch()).numpy()
    single = np.concatenate([model.encode(levels[np.array([row])].flat_batch()).numpy() for row in range(12)])
    np.testing.assert_allclose(whole, single, atol=1e-5)
    device = DeviceTwoLevel(levels, 4)
    rows = [3, 0, 7, 7]
    batch, kept = device.batch(tf.constant(rows))
    np.testing.assert_array_equal(kept, 1)
    np.testing.assert_allclose(model.encode(batch, device.features), whole[rows], atol=1e-5)


def test_graph_tensor_and_flat_batch_agree():
    config, graphs = small(**FULL), packed()
    levels = Splitter.learned(config, graphs)(graphs)
    model = MotifEncoder(config, 3, 1)
    np.testing.assert_allclose(model(levels.to_graph_tensor()), model.encode(levels.flat_batch()), atol=1e-5)
    view = two_level_view(levels.to_graph_tensor(), config.neighbourhood_width)
    np.testing.assert_array_equal(view.motif, levels.flat_batch().motif)


def hand_batch():
    """One graph of motifs 0 -> 1 -> 2 -> 3 of the kinds 5, 6, 5, 7, and one motif of padding."""
    macro = FlatBatch(
        tf.constant([5, 6, 5, 7, -1]),
        tf.constant([0, 0, 0, 0, 1]),
        tf.constant([0, 1, 2, 4]),
        tf.constant([1, 2, 3, 4]),
        tf.constant([4]),
    )
    return TwoLevelBatch(macro, tf.zeros([5], tf.int32), macro, tf.zeros([5]), tf.zeros([1, 0]))


def test_infonce_by_hand():
    motifs, contexts = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    known = tf.constant([1.0, 1.0, 1.0, 0.0, 0.0])
    picked = tf.constant([0, 1, 2, 3, 2])
    found = losses.motif_infonce(
        tf.constant(motifs, tf.float32), tf.constant(contexts, tf.float32), known, hand_batch(), picked, 0.5
    )

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    logits = np.exp(unit(motifs) @ unit(contexts).T / 0.5)
    # Contexts of 0 and 2 hold motif 1; those of 1 and 3 hold the kind of 0 and 2; 0 and 2 are equal; 3 has none.
    terms = [np.log(logits[0, 0] / logits[0, 0]), np.log(logits[1, 1] / logits[1, 1])]
    terms += [np.log(logits[2, 2] / logits[2, 2])] * 2
    assert float(found) == pytest.approx(-np.mean(terms), abs=1e-5)
    free = hand_batch()._replace(
        macro=hand_batch().macro._replace(
            nodes=tf.constant([5, 6, 8, 7, -1]), sources=tf.constant([0, 4]), targets=tf.constant([3, 4])
        )
    )
    found = losses.motif_infonce(
        tf.constant(motifs, tf.float32), tf.constant(contexts, tf.float32), known, free, tf.constant([0, 1, 2]), 0.5
    )
    terms = [np.log(logits[row, row] / logits[row, :3].sum()) for row in range(3)]
    assert float(found) == pytest.approx(-np.mean(terms), abs=1e-5)


def test_discriminator_by_hand():
    motifs = tf.constant(RNG.normal(size=(5, 2)), tf.float32)
    contexts = tf.constant(RNG.normal(size=(5, 2)), tf.float32)

    def judge(pairs):
        return pairs[:, :1] * pairs[:, 2:3] - pairs[:, 1:2]

    found = losses.motif_discriminator(motifs, contexts, tf.constant([1.0, 1, 1, 1, 0]), hand_batch(), judge)
    own = judge(np.concatenate([motifs, contexts], 1))[:4, 0]
    wrong = judge(np.concatenate([motifs, np.array(contexts)[[2, 3, 0, 1, 4]]], 1))[:4, 0]
    assert float(found) == pytest.approx(np.mean(np.log1p(np.exp(-own)) + np.log1p(np.exp(wrong))), abs=1e-5)


def test_pooled_contrast_and_geometry_by_hand():
    points = RNG.normal(size=(4, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    family, weight = [0, 1, 0, 1], [1.0, 1.0, 1.0, 0.0]
    shares = np.exp(points @ points.T)[:3, :3]
    same = np.equal.outer(family, family)[:3, :3]
    arguments = [tf.constant(points, tf.float32), tf.constant(family), tf.constant(weight)]
    assert float(losses.pooled_contrast(*arguments)) == pytest.approx(-np.log(shares[same].sum() / shares.sum()), 1e-5)
    colours = RNG.normal(size=(4, 5))
    squared = ((points @ points.T - colours @ colours.T) ** 2)[:3, :3]
    numbers = tf.range(4)
    members = Members(arguments[0], arguments[1], tf.constant(colours, tf.float32), numbers, numbers, arguments[2])
    found = losses.geometry(members, members)
    assert float(found) == pytest.approx(squared[~same].mean(), rel=1e-5)


def test_losses_stay_finite_for_equal_embeddings_and_single_families():
    batch = hand_batch()
    ones = tf.ones([5, 3])
    known = tf.ones([5])
    picked = tf.constant([0, 1, 2])
    members = Members(ones, tf.zeros([5], tf.int32), ones, tf.range(5), tf.range(5), known)
    values = [
        losses.motif_infonce(ones, ones, known, batch, picked, 0.01),
        losses.motif_infonce(ones, ones, 0 * known, batch, picked, 0.01),
        losses.pooled_contrast(ones, tf.zeros([5], tf.int32), 0 * known),
        losses.geometry(members, members),
    ]
    assert np.isfinite(np.array(values)).all()


def families_of_chains():
    """Twelve graphs of three families, which differ in their operators, so large that every rule finds motifs."""
    parts = []
    for number in range(12):
        rng = np.random.default_rng(number)
        operators, edges = random_part(rng, 40)
        parts.append(([operator + 3 * (number // 4) for operator in operators], edges))
    graphs = packed(parts)
    object.__setattr__(graphs, "family", (np.arange(12) // 4).astype(np.int32))
    return graphs


TRAINED = [pytest.param(name, marks=pytest.mark.slow) if name in ("gcn", "gat") else name for name in PRESETS]
"""Presets; the baselines gcn and gat train on whole graphs as `tfnas` does, and their layers have their own tests."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The pretraining, its summary and its folder for each preset, run once when a test first asks for a preset."""

    @functools.cache
    def run(name):
        changes = {"memory_share": 0.0} if name == "tfnas" else {}
        pretraining = MotifPretraining(small(name, learning_rate=0.01, batch_size=12, **changes), families_of_chains())
        folder = tmp_path_factory.mktemp(name)
        return pretraining, pretraining.run(folder, epochs=30, seed=1), folder

    return run


@pytest.mark.parametrize("name", TRAINED)
def test_trained_and_exported(name, trained):
    pretraining, summary, folder = trained(name)
    graphs = families_of_chains()
    assert np.isfinite(summary["loss"])
    encoder = SavedMotifEncoder(folder / "encoder")
    found = encoder.embed(graphs)
    assert found.shape == (12, pretraining.config.size)
    assert (folder / "map.png").exists()
    again = encoder.module.signatures["serving_default"](
        examples=tf.constant(
            [
                gnn.write_example(encoder.two_level(graphs)[np.array([row])].to_graph_tensor()).SerializeToString()
                for row in range(3)
            ]
        )
    )["embedding"]
    np.testing.assert_allclose(again, found[:3], atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_training_separates_families(name, trained):
    pretraining, _, folder = trained(name)
    graphs = families_of_chains()
    same = np.equal.outer(graphs.family, graphs.family)

    def gap(found):
        cosines = found @ found.T
        return cosines[same].mean() - cosines[~same].mean()

    untrained = MotifEncoder(pretraining.config, 3, 1)
    before = gap(embed_two_level(untrained.encode, pretraining.levels))
    after = gap(SavedMotifEncoder(folder / "encoder").embed(graphs))
    assert after > before + 0.1
    assert after > 0.5


def test_killed_between_stages_and_resumed(tmp_path, monkeypatch):
    """A run of two stages that stops in the second and is resumed equals one that was not stopped."""
    graphs = families_of_chains()
    config = small("tfnas", motif_loss="infonce", stages="two_stage", macro_layers=1)
    write, calls = MetricsLog.write, []

    def watched(self, epoch, values):
        calls.append(epoch)
        if len(calls) == 5:  # a process that ends here leaves what the folder holds now
            shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
        write(self, epoch, values)

    (tmp_path / "whole").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", watched)
        whole = MotifPretraining(config, graphs).train(tmp_path / "whole", epochs=3, seed=1)
    assert calls == [1, 2, 3, 1, 2, 3]
    again = MotifPretraining(config, graphs).train(tmp_path / "stopped", epochs=3, seed=1, resume=True)
    for one, two in zip(whole.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"macro_layers": 1}, {"motif_loss": "discriminator", "class_weight": 0.5}])
def test_shapes_are_static(changes):
    """XLA, which TPUs need, compiles an update, though training on CPUs goes without; noise aside, to the same."""
    config, graphs = small(dropout=0.0, learning_rate=0.01, **changes), families_of_chains()
    levels = Splitter.learned(config, graphs)(graphs)
    schedule = loop.TrainingConfig(epochs=1, batch_size=config.batch_size, seed=1)
    indices, weights = loop.epoch_batches(12, schedule, 1)
    found = []
    for compiled in (False, True):
        task = RetrievalTask(config, levels, 1, 1)
        task.jit_compile = compiled
        task.optimizer.build(task.model.trainable_variables)
        run = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), 3, True)
        draws = task.draw(tf.constant([1, 2]), 3, config.batch_size)
        found.append(run(tf.constant(indices), tf.constant(weights), draws, tf.constant(3)).numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"graph_loss": "pooled"}, marks=pytest.mark.slow),
        pytest.param({"motif_loss": "discriminator", "class_weight": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_two_replicas_learn_what_one_does(changes, two_replicas):
    graphs = families_of_chains()
    if "motif_loss" in changes:  # motifs are averaged within a replica: the same only if both have as many
        graphs = graphs[np.zeros(12, int)]
        object.__setattr__(graphs, "family", (np.arange(12) % 3).astype(np.int32))
    config = small(dropout=0.0, learning_rate=0.01, **changes)
    levels = Splitter.learned(config, graphs)(graphs)
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            task = RetrievalTask(config, levels, 1, 1, replicas=strategy.num_replicas_in_sync)
            task.optimizer.build(task.model.trainable_variables)
        before = [variable.numpy() for variable in task.model.trainable_variables]
        schedule = loop.TrainingConfig(epochs=1, batch_size=config.batch_size, seed=1)
        run = loop.compile_steps(task, schedule, strategy, 2, False)
        indices, weights = loop.epoch_batches(12, schedule, 1)
        draws = task.draw(tf.constant([1, 2]), 2, config.batch_size)
        sums = run(tf.constant(indices[:2]), tf.constant(weights[:2]), draws, tf.constant(2)).numpy()
        moved = [variable.numpy() - old for variable, old in zip(task.model.trainable_variables, before, strict=True)]
        found.append((moved, sums))
    assert max(np.abs(part).max() for part in found[0][0]) > 5e-3
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)
    for one, two in zip(found[0][0], found[1][0], strict=True):
        # Adam's first steps have the size of the learning rate whatever the gradient, so only signs can differ.
        assert np.mean(np.abs(one - two) > 1e-3) < 0.01


def test_needs_only_tensorflow(trained, tmp_path):
    script = (
        "import sys, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "assert sorted(model.signatures) == ['encode', 'encode_examples', 'serving_default']\n"
        "assert 'tfnas' not in sys.modules and 'tensorflow_gnn' not in sys.modules"
    )
    plain.run(script, str(trained("tfnas")[2] / "encoder"), folder=tmp_path)


def test_one_node_many_nodes_disconnected_and_repeated():
    chain = ([1] + [2] * 5689, [(node, node + 1) for node in range(5689)])
    parts = [([1], []), chain, ([1, 2, 3], []), ([1, 2, 1, 2], [(0, 1), (2, 3)])]
    found = embedded(small(**FULL), packed(parts, 2))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splitting": "pieces"}, "splitting='pieces', expected one of"),
        ({"width": 0}, "width=0, expected at least 1"),
        ({"temperature": 0.0}, "temperature=0.0, expected more than 0"),
        ({"neighbourhood_width": 0}, "need hashed colours"),
        ({"splitting": "none", "macro_layers": 1}, "splitting=none leaves nothing"),
        ({"graph_loss": "none"}, "no loss"),
        ({"stages": "two_stage"}, "needs a motif_loss"),
        ({"memory_share": 1.0}, "expected in"),
        ({"neighbourhood_width": 2}, "a number for each of 3 rounds"),
        ({"neighbourhood_rounds": -1}, "neighbourhood_rounds=-1, expected at least 0"),
        ({"convolution": "gat", "width": 10}, "a multiple of 4"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        MotifEncoderConfig(**changes)


def test_two_networks_of_one_name(tmp_path):
    graph = smallest_graph().replace(name="twin", source="mine")
    write_graphs(tmp_path / "first", [graph])
    write_graphs(tmp_path / "second", [graph.replace(family="other")])
    inputs = Corpora((str(tmp_path / "first"), str(tmp_path / "second")))
    with pytest.raises(ConfigurationError, match="two architectures are called 'mine/twin'; rename one of them"):
        MotifPretraining.read(small(), inputs, seed=1)


def test_wrong_input(trained, tmp_path):
    with pytest.raises(ConfigurationError, match="unknown preset"):
        preset("mine")
    with pytest.raises(ConfigurationError, match="1 family, expected at least two"):
        MotifPretraining(small(), packed(families=1)).run(tmp_path, epochs=1, seed=1)
    with pytest.raises(ConfigurationError, match="epochs=0"):
        MotifPretraining(small(), packed()).run(tmp_path, epochs=0, seed=1)
    shutil.copytree(trained("tfnas")[2] / "encoder", tmp_path / "encoder")
    encoder = SavedMotifEncoder(tmp_path / "encoder")
    encoder.manifest["operators"] = encoder.manifest["operators"][:2]
    with pytest.raises(InvalidArchitectureError, match="trained before there was an operator"):
        encoder.embed(packed())
    with pytest.raises(CorruptArtefactError, match="holds none"):
        Splitter.from_arrays(small(), {})
    with pytest.raises(ConfigurationError, match="no sequence of 2 operators or more"):
        Splitter.learned(small(), packed([([1], []), ([2], [])], 2))
    (tmp_path / "encoder" / "motifs.npz").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match="0 bytes"):
        SavedMotifEncoder(tmp_path / "encoder")

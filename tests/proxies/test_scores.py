"""Zero-cost scores against finite differences, NumPy, and networks that are built for one architecture."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.fork import ROOT
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.networks import rewiring
from tfnas.networks.initialization import draw_weights
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import Cell, NASBench201Network, NASBench201Supernet, Reduction, Skeleton
from tfnas.networks.nats_size import NATSSizeNetwork, NATSSizeSupernet
from tfnas.proxies import PROXIES, tables
from tfnas.proxies.scores import ProxyProgram, jacobian_covariance
from tfnas.proxies.spaces import SupernetProxies, network_scores
from tfnas.spaces import Architecture, FiniteSpace, NASBench201, NATSSize

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])
SMALL = Skeleton(num_classes=3, channels=4, cells_per_stage=1, stages=2)
TINY = Skeleton(num_classes=3, channels=4, cells_per_stage=1, stages=1)


def small_model(library):
    """Convolution, norm, depthwise, dropout, dense with softmax."""
    layers = library.layers
    inputs = library.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=True)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.Dropout(0.5)(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = library.Model(inputs, layers.Dense(3, activation="softmax")(x))
    draw_weights(model, 3)
    return model


def numpy_network(weights, images, gates=None, linear=False):
    """The same network in float64; `linear` is the one that synflow looks at."""
    kernel, bias, gamma, beta, depth, depth_bias, dense, dense_bias = weights
    gates = gates or [np.ones((len(images), size)) for size in (4, 4, 3)]

    def patches(x, size=3):
        count = x.shape[1] - size + 1
        return np.stack([x[:, i : i + count, j : j + count] for i in range(size) for j in range(size)], axis=3)

    x = np.einsum("bxykc,kco->bxyo", patches(images), kernel.reshape(9, 3, 4)) + bias
    x = x * gates[0][:, None, None]
    if not linear:
        x = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-3) * gamma + beta
    x = np.maximum(x, 0)
    x = np.einsum("bxykc,kc->bxyc", patches(x), depth.reshape(9, 4)) + depth_bias
    x = (x * gates[1][:, None, None]).mean(axis=(1, 2))
    return (x @ dense + dense_bias) * gates[2]


def loss(weights, gates=None):
    logits = numpy_network(weights, IMAGES.astype(np.float64), gates)
    logits = logits - logits.max(axis=1, keepdims=True)
    shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -shares[np.arange(4), LABELS].mean()


def gradient(function, array, step=1e-5):
    found = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        values = []
        for sign in (1, -1):
            array[place] = kept + sign * step
            values.append(function())
        array[place] = kept
        found[place] = (values[0] - values[1]) / (2 * step)
    return found


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
def test_scores_equal_finite_differences(library):
    model = small_model(library)
    before = [variable.numpy() for variable in model.variables]
    found = ProxyProgram(model).scores(IMAGES, LABELS)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert model(IMAGES).shape == (4, 3)  # and the model still works
    weights = [np.array(w, np.float64) for w in [v.numpy() for v in model.trainable_variables]]
    kernels = [weights[place] for place in (0, 4, 6)]
    gradients = [gradient(lambda: loss(weights), kernel) for kernel in kernels]
    assert found["grad_norm"] == pytest.approx(sum(np.linalg.norm(g) for g in gradients), rel=1e-3)
    snip = sum(np.abs(k * g).sum() for k, g in zip(kernels, gradients, strict=True))
    assert found["snip"] == pytest.approx(snip, rel=1e-3)
    gates = [np.ones((4, size)) for size in (4, 4, 3)]
    fisher = 0.0
    for gate, kernel in zip(gates, kernels, strict=True):
        change = gradient(lambda: loss(weights, gates), gate)
        fisher += 0.5 * np.mean(change**2, axis=0).sum() * kernel.size / gate.shape[1]
    assert found["fisher"] == pytest.approx(fisher, rel=1e-3)
    # Along the gradient the gradient changes by the product of Hessian and gradient.
    shifted = []
    for sign in (1, -1):
        for kernel, g in zip(kernels, gradients, strict=True):
            kernel += sign * 1e-4 * g
        shifted.append([gradient(lambda: loss(weights), kernel) for kernel in kernels])
        for kernel, g in zip(kernels, gradients, strict=True):
            kernel -= sign * 1e-4 * g
    grasp = -sum(np.sum(k * (a - b) / 2e-4) for k, a, b in zip(kernels, *shifted, strict=True))
    assert found["grasp"] == pytest.approx(grasp, rel=1e-2, abs=1e-4)
    images = IMAGES.astype(np.float64)
    jacobian = gradient(lambda: numpy_network(weights, images).sum(), images)
    assert found["jacov"] == pytest.approx(jacobian_covariance(jacobian.reshape(4, -1)), rel=1e-3)
    positive = [np.abs(weight) for weight in weights]
    ones = np.ones((1, 8, 8, 3))
    flow = 0.0
    for place in (0, 4, 6):
        change = gradient(lambda: numpy_network(positive, ones, linear=True).sum(), positive[place])
        flow += np.abs(positive[place] * change).sum()
    assert found["synflow"] == pytest.approx(np.log(flow), rel=1e-5)


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
def test_branches_without_weights_and_a_softmax_layer(library):
    """The image meets the output of a convolution, and a layer of its own makes the probabilities."""
    layers = library.layers
    inputs = library.Input((8, 8, 3))
    joined = layers.Add()([layers.Conv2D(3, 3, padding="same")(inputs), layers.Rescaling(0.5)(inputs)])
    logits = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Concatenate()([joined, inputs])))
    model, plain = library.Model(inputs, layers.Softmax()(logits)), library.Model(inputs, logits)
    draw_weights(model, 1)
    found, expected = (ProxyProgram(network).scores(IMAGES, LABELS) for network in (model, plain))
    assert found == expected
    assert all(np.isfinite(value) for value in found.values())
    assert found["synflow"] > np.log(1e-3)


def test_jacobian_covariance_by_hand():
    """Rows with correlation c have the eigenvalues 1 + c and 1 - c."""
    rows = np.array([[1.0, 2, 3, 4], [1, 3, 2, 4]])
    values = np.array([1.8, 0.2]) + 1e-5
    assert jacobian_covariance(rows) == pytest.approx(-np.sum(np.log(values) + 1 / values))
    assert np.isnan(jacobian_covariance(np.ones((2, 4))))


def copied(source, target, pairs, change=lambda layer, name, value: value):
    for ours, theirs in pairs:
        for name in rewiring.weight_names(ours):
            if not name.startswith("moving"):
                value = change(ours, name, tf.convert_to_tensor(getattr(ours, name)))
                getattr(theirs, name).assign(value)


def layer_pairs(first, second):
    """The layers of two networks with cells that stand for each other; what `second` lacks is left out."""
    pairs = [(getattr(first, n), getattr(second, n)) for n in ("stem", "stem_norm", "last_norm", "classifier")]
    for ours, theirs in zip(first.blocks, second.blocks, strict=True):
        if isinstance(ours, Reduction):
            names = ("first", "second", "shortcut", "first_norm", "second_norm")
            pairs += [(getattr(ours, name), getattr(theirs, name)) for name in names]
        else:
            assert isinstance(ours, Cell)
            for edge, other in zip(ours.edges, theirs.edges, strict=True):
                for name, layers in other.convolutions.items():
                    pairs += list(zip(edge.convolutions[name], layers, strict=True))
    return pairs


def test_one_program_for_all_cells_equals_a_network_for_each():
    space = NASBench201()
    cells = space.sample(2, np.random.default_rng(2))
    supernet = NASBench201Supernet(SMALL, IMAGES.shape[1:])
    program = SupernetProxies(supernet, IMAGES, LABELS, seed=1)
    for row in range(2):
        architecture = space.architecture(cells, row)
        network = NASBench201Network(SMALL, architecture, LayerSettings("pytorch"))
        network(IMAGES)
        copied(supernet.network, network, layer_pairs(supernet.network, network))
        alone = ProxyProgram(network, PROXIES, lambda x, n=network: n(x, training=False))
        expected = alone.scores(IMAGES, LABELS)
        for name, value in program.score(architecture).items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-3, err_msg=name)


def test_one_program_for_all_widths_equals_a_network_for_each():
    space = NATSSize()
    supernet = NATSSizeSupernet(IMAGES.shape[1:])
    program = SupernetProxies(supernet, IMAGES, LABELS, ("synflow", "jacov", "fisher", "snip"), seed=1)
    for architecture in (space.architecture(space.sample(1, np.random.default_rng(seed)), 0) for seed in (0, 1)):
        network = NATSSizeNetwork(architecture, settings=LayerSettings("pytorch"))
        network(IMAGES)
        channels = [int(name.split("_")[1]) for name in architecture.operations[1:-1]]
        copied(
            supernet.network,
            network,
            layer_pairs(supernet.network, network),
            lambda layer, name, value, channels=channels: program.weight(layer, name, value, channels),
        )
        alone = ProxyProgram(network, ("synflow", "jacov", "fisher", "snip"), lambda x, n=network: n(x, training=False))
        expected = alone.scores(IMAGES, LABELS)
        for name, value in program.score(architecture).items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-3, err_msg=name)


def test_a_network_that_ignores_its_input():
    """The cell of nothing but `none`: no gradient reaches the image, so scores that need one are not numbers."""
    space = NASBench201()
    nothing = space.from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    supernet = NASBench201Supernet(TINY, IMAGES.shape[1:])
    found = SupernetProxies(supernet, IMAGES, LABELS, ("jacov", "snip")).score(nothing)
    assert np.isnan(found["jacov"])
    assert np.isfinite(found["snip"])


def test_same_seed_same_scores():
    space = NASBench201()
    architecture = space.architecture(space.sample(1, np.random.default_rng(2)), 0)
    one, same, other = (
        SupernetProxies(NASBench201Supernet(TINY, IMAGES.shape[1:]), IMAGES, LABELS, ("snip",), seed).score(
            architecture
        )["snip"]
        for seed in (4, 4, 5)
    )
    assert one == same != other


def test_refusals():
    model = small_model(tf_keras)
    with pytest.raises(ConfigurationError, match="proxies naswot, expected some of synflow"):
        ProxyProgram(model, ["naswot"])
    program = ProxyProgram(model, ["snip"])
    with pytest.raises(ConfigurationError, match="B >= 2"):
        program.scores(IMAGES[:1], LABELS[:1])
    with pytest.raises(ConfigurationError, match="NaN"):
        program.scores(IMAGES * np.nan, LABELS)
    inputs = tf_keras.Input((8, 8, 3))
    with pytest.raises(ConfigurationError, match="no convolution and no matrix product"):
        ProxyProgram(tf_keras.Model(inputs, tf_keras.layers.GlobalAveragePooling2D()(inputs)))
    image = tf_keras.Model(inputs, tf_keras.layers.Conv2D(2, 3)(inputs))
    with pytest.raises(ConfigurationError, match="expected logits"):
        ProxyProgram(image, ["snip"]).scores(IMAGES, LABELS)
    unknown = FiniteSpace("digits", [Architecture(("in", "out"), np.eye(2, k=1))])
    with pytest.raises(ConfigurationError, match=r"no network of digits, only of nasbench101.*add a row"):
        network_scores(unknown, None, IMAGES, LABELS)


def test_the_documents_list_every_score():
    assert f"| **Proxies** | {', '.join(PROXIES)} of any Keras model" in (ROOT / "docs" / "index.md").read_text()


def test_table_of_scores_goes_on_where_it_was_cut(tmp_path):
    space = NASBench201()
    cells = space.sample(5, np.random.default_rng(0))
    asked = []

    def score(architecture):
        asked.append(space.to_string(architecture))
        return {"size": len(asked[-1]), "never": float("nan")}

    whole = tables.score_cells(space, cells, score, tmp_path, seed=1)
    assert len(asked) == 5
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    (tmp_path / "scores.jsonl").write_text("\n".join(lines[:2]) + '\n{"row": 2, "si')
    again = tables.score_cells(space, cells, score, tmp_path, seed=1)
    assert len(asked) == 8
    for name, values in whole.items():
        np.testing.assert_array_equal(again[name], values)
    read, columns = tables.read_scores(tmp_path / tables.TABLE_NAME, space)
    np.testing.assert_array_equal(read.operations, cells.operations)
    np.testing.assert_array_equal(columns["size"], whole["size"])
    assert np.isnan(columns["never"]).all()
    assert json.loads((tmp_path / "scores.jsonl").read_text().splitlines()[4])["never"] is None
    (tmp_path / "scores.jsonl").write_text("\n".join(lines[:2]).replace('"row": 0', '"row": 3') + "\n")
    with pytest.raises(CorruptArtefactError, match=r"scores\.jsonl, line 1: damaged"):
        tables.score_cells(space, cells, score, tmp_path, seed=1)
    (tmp_path / "scores.npz").write_bytes(b"PK")
    with pytest.raises(CorruptArtefactError):
        tables.read_scores(tmp_path / "scores.npz", space)


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
@pytest.mark.parametrize("residual", [False, True], ids=["chain", "residual"])
def test_synflow_of_deep_networks_by_hand(library, residual):
    """Every layer's sum is the output, so that the score has a closed form; the flow leaves the range of float64."""
    layers, weight, width = library.layers, 2.0**18, 4
    for depth in (10, 60):
        inputs = library.Input((2, 2, 4))
        x = inputs
        for _ in range(depth):
            y = layers.Conv2D(4, 1, use_bias=False)(x)
            x = layers.ReLU()(layers.Add()([x, y]) if residual else y)
        model = library.Model(inputs, layers.Dense(3, use_bias=False)(layers.GlobalAveragePooling2D()(x)))
        for variable in model.weights:
            variable.assign(np.full(variable.shape, weight, np.float32))
        growth = width * weight + residual
        counted = depth * width * weight / growth + 1
        expected = depth * np.log(growth) + np.log(3 * width * weight) + np.log(counted)
        found = ProxyProgram(model, ["synflow"]).scores(IMAGES[:, :2, :2, [0, 1, 2, 0]], LABELS)
        assert found["synflow"] == pytest.approx(expected, rel=1e-9)

"""Fused operators of ONNX and onnxruntime, with counts by hand."""

import numpy as np
import pytest
from onnx import helper

from tests.graphs.importers.onnx_files import microsoft, model, noise
from tfnas.graphs.importers.onnx_graphs import from_onnx

TOKENS, ROWS = (1, 5, 8), np.array([[3, 1, 4, 1, 5]])
NORM = {"g": noise(8), "b": noise(8)}


def read(node, constants, opset=17, **inputs):
    """The operators between inputs and outputs, with the sums of parameters and multiply-adds."""
    graph = from_onnx(model([node], constants, inputs or {"x": TOKENS}, opset=opset))
    assert not graph.notes
    names = [name for name in graph.operator_names if name not in ("input", "output")]
    return names, graph.total_parameters, int(graph.multiply_adds.sum())


@pytest.mark.parametrize(
    ("node", "constants", "expected"),
    [
        (microsoft("FusedMatMul", ["x", "w"], transB=1), {"w": noise(6, 8)}, (["matmul"], 48, 5 * 48)),
        (microsoft("FusedMatMul", ["x", "x"], transA=1), {}, (["matmul"], 0, 8 * 8 * 5)),
        (microsoft("BiasGelu", ["x", "b"]), NORM, (["add", "gelu"], 8, 0)),
        (microsoft("FastGelu", ["x", "b"]), NORM, (["add", "gelu"], 8, 0)),
        (microsoft("FastGelu", ["x"]), {}, (["gelu"], 0, 0)),
        (microsoft("QuickGelu", ["x"], alpha=1.7), {}, (["swish"], 0, 0)),
        (microsoft("SkipLayerNormalization", ["x", "x", "g", "b"]), NORM, (["add", "layer_norm"], 16, 0)),
        (microsoft("SkipSimplifiedLayerNormalization", ["x", "x", "g"]), NORM, (["add", "rms_norm"], 8, 0)),
        (helper.make_node("SimplifiedLayerNormalization", ["x", "g"], ["y"]), NORM, (["rms_norm"], 8, 0)),
        (helper.make_node("LayerNormalization", ["x", "g", "b"], ["y"]), NORM, (["layer_norm"], 16, 0)),
    ],
)
def test_operators_over_tokens(node, constants, expected):
    assert read(node, constants, opset=13) == expected


def test_a_convolution_with_its_activation():
    """6 x 6 pixels of 3 channels, 4 filters of 3 x 3, the same size; also with channels last, and with a residual."""
    constants = {"w": noise(4, 3, 3, 3), "b": noise(4)}
    window = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3], "activation": "Relu"}
    counts = (4 * 27 + 4, 36 * 4 * 27)
    assert read(microsoft("FusedConv", ["x", "w", "b"], **window), constants, x=(1, 3, 6, 6)) == (
        ["conv", "relu"],
        *counts,
    )
    last = microsoft("NhwcFusedConv", ["x", "w", "b"], **window)
    assert read(last, constants, x=(1, 6, 6, 3)) == (["conv", "relu"], *counts)
    residual = microsoft("FusedConv", ["x", "w", "b", "z"], **window)
    assert read(residual, constants, x=(1, 3, 6, 6), z=(1, 4, 6, 6)) == (["conv", "add", "relu"], *counts)
    graph = from_onnx(model([last], constants, {"x": (1, 6, 6, 3)}))
    assert graph.shapes[1].tolist() == [6, 6, 6, 6, 3, 4]


def test_a_gemm_with_its_activation():
    constants = {"w": noise(8, 6), "b": noise(6)}
    assert read(microsoft("FusedGemm", ["x", "w", "b"], activation="Tanh"), constants, x=(1, 8)) == (
        ["matmul", "tanh"],
        54,
        48,
    )


def test_embeddings_of_words_positions_and_segments():
    constants = {"words": noise(30, 8), "positions": noise(9, 8), "kinds": noise(2, 8), **NORM}
    node = microsoft("EmbedLayerNormalization", ["ids", "", "words", "positions", "", "g", "b"], ["y", ""])
    graph = from_onnx(model([node], constants, {"ids": (1, 5)}, dtype=7))
    assert graph.operator_names == ["input", "embedding", "add", "layer_norm", "output"]
    assert graph.parameters.tolist() == [0, 30 * 8, 9 * 8, 16, 0]
    assert graph.shapes[3].tolist() == [5, 5, 1, 1, 8, 8]


HEADS = dict.fromkeys("qkv", (1, 4, 5, 8))
"""Four heads of 8 channels for 5 tokens."""
SCORES = 4 * 5 * 5 * 8
"""Multiply-adds of the queries by the keys, and of their softmax by the values."""


def test_attention_of_onnx():
    names = ["matmul", "softmax", "matmul"]
    assert read(helper.make_node("Attention", ["q", "k", "v"], ["y"]), {}, 23, **HEADS) == (names, 0, 2 * SCORES)
    causal = helper.make_node("Attention", ["q", "k", "v"], ["y"], q_num_heads=4, kv_num_heads=2, is_causal=1)
    shapes = {"q": (1, 5, 32), "k": (1, 5, 16), "v": (1, 5, 16)}
    assert read(causal, {}, 23, **shapes) == (names, 0, 2 * SCORES)
    graph = from_onnx(model([causal], {}, shapes, opset=23))
    assert graph.shapes[-3:, 1::2].tolist() == [[4, 5, 5], [4, 5, 8], [5, 1, 32]]
    masked = helper.make_node("Attention", ["q", "k", "v", "m"], ["y"])
    assert read(masked, {"m": np.tri(5, dtype=bool)}, 23, **HEADS) == (names, 0, 2 * SCORES)
    assert read(masked, {"m": noise(5, 5)}, 23, **HEADS) == (["matmul", "add", "softmax", "matmul"], 25, 2 * SCORES)


def test_attention_over_earlier_steps():
    """Three steps in the past: one query attends to 4 keys in each of 4 heads."""
    node = helper.make_node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "nk", "nv"])
    shapes = {**dict.fromkeys("qkv", (1, 4, 1, 8)), "pk": (1, 4, 3, 8), "pv": (1, 4, 3, 8)}
    assert read(node, {}, 23, **shapes) == (["concat", "concat", "matmul", "softmax", "matmul"], 0, 2 * 4 * 4 * 8)


def test_attention_of_onnxruntime():
    """Eight channels in 2 heads of 4: scores and their product with values are 2 * 2 * 5 * 5 * 4 multiply-adds."""
    scores = 2 * 2 * 5 * 5 * 4
    packed = microsoft("Attention", ["x", "w", "c"], num_heads=2)
    constants = {"w": noise(8, 24), "c": noise(24)}
    assert read(packed, constants) == (["matmul", "matmul", "softmax", "matmul"], 8 * 24 + 24, 5 * 8 * 24 + scores)
    three = dict.fromkeys("qkv", TOKENS)
    many = microsoft("MultiHeadAttention", ["q", "k", "v"], num_heads=2)
    assert read(many, {}, **three) == (["matmul", "softmax", "matmul"], 0, scores)
    grouped = microsoft("GroupQueryAttention", ["q", "k", "v", "", "", "n", "t"], num_heads=2, kv_num_heads=1)
    constants = {"n": np.array([4], np.int32), "t": np.array([5], np.int32)}
    shapes = {"q": TOKENS, "k": (1, 5, 4), "v": (1, 5, 4)}
    assert read(grouped, constants, **shapes) == (["matmul", "softmax", "matmul"], 0, scores)


def test_attention_that_rotates_its_heads():
    tables = {"c": noise(16, 2), "s": noise(16, 2) + 1, "n": np.array([4], np.int32), "t": np.array([5], np.int32)}
    node = microsoft(
        "GroupQueryAttention", ["x", "", "", "", "", "n", "t", "c", "s"], num_heads=2, kv_num_heads=1, do_rotary=1
    )
    graph = from_onnx(model([node], tables, {"x": (1, 5, 16)}))  # 2 + 1 + 1 heads of 4 channels
    assert graph.multiply_adds.sum() == 2 * 2 * 5 * 5 * 4
    assert graph.total_parameters == 64
    assert not graph.unknown


@pytest.mark.parametrize(
    ("node", "opset", "constants", "shape", "expected"),
    [
        (helper.make_node("Mish", ["x"], ["y"]), 22, {}, TOKENS, ({"softplus", "tanh", "mul"}, 0, 0)),
        (helper.make_node("ReduceL2", ["x"], ["y"]), 18, {}, TOKENS, ({"mul", "sum", "sqrt"}, 0, 0)),
        (helper.make_node("ReduceL1", ["x"], ["y"]), 18, {}, TOKENS, ({"abs", "sum"}, 0, 0)),
        (helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2, 2]), 18, {}, (1, 3, 6, 6), ({"avg_pool"}, 0, 0)),
        (
            helper.make_node("Col2Im", ["x", "size", "block"], ["y"]),
            18,
            {"size": np.array([5, 5]), "block": np.array([1, 5])},
            (1, 5, 5),
            ({"unfold"}, 0, 0),
        ),
        (helper.make_node("ThresholdedRelu", ["x"], ["y"]), 22, {}, TOKENS, ({"select"}, 0, 0)),
        (
            helper.make_node("GroupNormalization", ["x", "g", "b"], ["y"], num_groups=2),
            21,
            NORM,
            (1, 8, 3, 3),
            ({"group_norm"}, 16, 0),
        ),
        (
            helper.make_node("RotaryEmbedding", ["x", "c", "s"], ["y"]),
            23,
            {"c": noise(1, 5, 4), "s": noise(1, 5, 4) + 1},
            (1, 2, 5, 8),
            ({"mul", "sub", "add", "concat"}, 40, 0),
        ),
    ],
)
def test_operators_with_a_body_or_a_row(node, opset, constants, shape, expected):
    names, parameters, products = read(node, constants, opset, x=shape)
    assert (set(names), parameters, products) == expected


@pytest.mark.parametrize(("rule", "products"), [("linear", 2), ("gated", 2), ("delta", 3)])
def test_linear_attention(rule, products):
    """Five steps in four heads: products of the state, 8 x 8, with keys, values and queries."""
    optional = {"gated": ["", "d"], "delta": ["", "", "d"]}.get(rule, [])
    node = helper.make_node(
        "LinearAttention", ["q", "k", "v", *optional], ["y", "s"], q_num_heads=4, kv_num_heads=4, update_rule=rule
    )
    shapes = {**dict.fromkeys("qkv", (1, 5, 32)), **({"d": (1, 5, 4)} if optional else {})}
    graph = from_onnx(model([node], {}, shapes, opset=27))
    assert graph.multiply_adds.sum() == 5 * products * 4 * 8 * 8


def test_a_causal_convolution():
    """Six channels by filters of four steps over nine steps, which three steps of the past precede."""
    node = helper.make_node("CausalConvWithState", ["x", "w", "b"], ["y", "s"])
    constants = {"w": noise(6, 1, 4), "b": noise(6)}
    assert read(node, constants, 27, x=(1, 6, 9)) == (["depthwise_conv"], 30, 9 * 6 * 4)


def test_deformable_convolution():
    """3 x 3 filters from 2 to 4 channels, with offsets that are data and a bias."""
    node = helper.make_node("DeformConv", ["x", "w", "o", "b"], ["y"], pads=[1, 1, 1, 1])
    constants = {"w": noise(4, 2, 3, 3), "b": noise(4)}
    assert read(node, constants, 19, x=(1, 2, 5, 5), o=(1, 18, 5, 5)) == (["conv"], 76, 25 * 4 * 18)


def test_operators_that_nothing_explains():
    graph = from_onnx(model([microsoft("SparseAttention", ["x"]), microsoft("Attention", ["x"])], {}, {"x": TOKENS}))
    assert graph.operator_names == ["input", "Attention", "output"]

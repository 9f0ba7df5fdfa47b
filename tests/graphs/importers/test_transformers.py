"""Transformers as ONNX writes them, against formulas for their parameters and multiply-adds."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tfnas.graphs.importers.onnx_graphs import from_onnx


class Builder:
    """Nodes and weights of a transformer; weights have shapes, but no numbers."""

    def __init__(self, width, heads, hidden, rows):
        self.width, self.heads, self.hidden, self.rows = width, heads, hidden, rows
        self.nodes, self.weights = [], []

    def op(self, kind, *operands, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, operands, [name], name, **attributes))
        return name

    def weight(self, *shape):
        name = f"weight_{len(self.weights)}"
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="weights.bin")
        self.weights.append(tensor)
        return name

    def numbers(self, *values):
        return self.op("Constant", value=numpy_helper.from_array(np.array(values)))

    def dense(self, x, inputs, outputs):
        """A layer with bias on tokens, or on the rows of all tokens, as PyTorch's Conv1D of GPT-2."""
        weights = self.weight(inputs, outputs)
        if not self.rows:
            return self.op("Add", self.op("MatMul", x, weights), self.weight(outputs))
        rows = self.op("Gemm", self.op("Reshape", x, self.numbers(-1, inputs)), weights, self.weight(outputs))
        return self.op("Reshape", rows, self.numbers(1, self.rows, outputs))

    def norm(self, x):
        return self.op("LayerNormalization", x, self.weight(self.width), self.weight(self.width), axis=-1)

    def split(self, x):
        heads = self.op("Reshape", x, self.numbers(0, 0, self.heads, self.width // self.heads))
        return self.op("Transpose", heads, perm=[0, 2, 1, 3])

    def attention(self, x):
        query, key, value = (self.split(self.dense(x, self.width, self.width)) for _ in range(3))
        scores = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        heads = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        tokens = self.op("Reshape", self.op("Transpose", heads, perm=[0, 2, 1, 3]), self.numbers(0, 0, self.width))
        return self.dense(tokens, self.width, self.width)

    def block(self, x):
        x = self.op("Add", x, self.attention(self.norm(x)))
        hidden = self.op("Relu", self.dense(self.norm(x), self.width, self.hidden))
        return self.op("Add", x, self.dense(hidden, self.hidden, self.width))

    def read(self, output, shape, kind=TensorProto.FLOAT):
        graph = helper.make_graph(
            self.nodes,
            "transformer",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        return from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def block_work(tokens, width, hidden):
    """Four projections of tokens, two layers, and the products of queries and keys and of scores and values."""
    return tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width


def block_weights(width, hidden):
    """Weights and biases of six layers, and two norms."""
    return 4 * width**2 + 2 * width * hidden + 5 * width + hidden + 4 * width


def test_vit_b_16():
    """torchvision's: 86,567,656 parameters and 17.56 G multiply-adds, as published with its weights."""
    build = Builder(768, 12, 3072, rows=0)
    patches = build.op("Conv", "x", build.weight(768, 3, 16, 16), build.weight(768), strides=[16, 16])
    tokens = build.op("Transpose", build.op("Reshape", patches, build.numbers(1, 768, 196)), perm=[0, 2, 1])
    tokens = build.op("Concat", build.weight(1, 1, 768), tokens, axis=1)
    tokens = build.op("Add", tokens, build.weight(1, 197, 768))
    for _ in range(12):
        tokens = build.block(tokens)
    first = build.op("Gather", build.norm(tokens), build.op("Constant", value_int=0), axis=1)
    logits = build.op("Gemm", first, build.weight(768, 1000), build.weight(1000))
    graph = build.read(logits, (1, 3, 224, 224))
    assert graph.multiply_adds.sum() == 196 * 768 * 768 + 12 * block_work(197, 768, 3072) + 768 * 1000 == 17_563_828_224
    assert graph.total_parameters == 86_567_656
    names = graph.operator_names
    assert graph.shapes[names.index("concat")].tolist() == [196, 197, 1, 1, 768, 768]
    assert graph.shapes[names.index("softmax")].tolist() == [12, 12, 197, 197, 197, 197]
    assert graph.shapes[-2].tolist() == [1, 1, 1, 1, 768, 1000]
    assert not graph.notes


@pytest.mark.parametrize("rows", [0, 6])
def test_bert_and_gpt2(rows):
    """Embeddings, two blocks and a head over the vocabulary, with layers on tokens (BERT) and on rows (GPT-2)."""
    build = Builder(8, 2, 32, rows)
    words = build.op("Gather", build.weight(50, 8), "x")
    tokens = build.op("Add", words, build.weight(1, 6, 8))
    for _ in range(2):
        tokens = build.block(tokens)
    logits = build.op("MatMul", build.norm(tokens), build.weight(8, 50))
    graph = build.read(logits, (1, 6), TensorProto.INT64)
    assert graph.multiply_adds.sum() == 2 * block_work(6, 8, 32) + 6 * 8 * 50
    assert graph.total_parameters == 2 * 50 * 8 + 6 * 8 + 2 * block_weights(8, 32) + 2 * 8
    products = [row for row, name in zip(graph.shapes.tolist(), graph.operator_names, strict=True) if name == "matmul"]
    layers = [[6, 6, 1, 1, *pair] for pair in ((8, 8), (8, 8), (8, 8))]
    heads = [[2, 2, 6, 6, 4, 6], [2, 2, 6, 6, 6, 4]]
    ends = [[6, 6, 1, 1, *pair] for pair in ((8, 8), (8, 32), (32, 8))]
    assert products == 2 * [*layers, *heads, *ends] + [[6, 6, 1, 1, 8, 50]]

"""Quantised operators of ONNX and onnxruntime, as the operators that were quantised.

Numbers of quantised weights count; scales and zero points do not.
"""

from collections.abc import Callable

import numpy as np

from tfnas.graphs.importers.onnx_writer import Writer

_PLAIN = {
    "QLinearConv": ("Conv", (0, 3, 8)),
    "ConvInteger": ("Conv", (0, 1)),
    "QLinearMatMul": ("MatMul", (0, 3)),
    "MatMulInteger": ("MatMul", (0, 1)),
    "QGemm": ("Gemm", (0, 3, 6)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearWhere": ("Where", (0, 1, 4)),
    "QLinearSigmoid": ("Sigmoid", (0,)),
    "QLinearLeakyRelu": ("LeakyRelu", (0,)),
    "QLinearSoftmax": ("Softmax", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
}
"""Operators that differ from those of ONNX by scales and zero points: names, and positions of the operands."""
INTEGER_PRODUCTS = {"ConvInteger", "MatMulInteger"}
"""Operators whose results are sums of integers, to which a quantised bias may be added."""
_FOREIGN = {"channels_last", "opset"}
"""Attributes that the operators of ONNX do not have."""
_SWAPPED = (0, 2, 1)


def _plain(writer: Writer) -> None:
    kind, positions = _PLAIN[writer.node.op_type]
    operands = [writer.input(index) for index in positions]
    if kind == "Where":
        operands = [operands[0], *map(writer.floats, operands[1:])]
    else:
        operands = [writer.floats(name) for name in operands]
    attributes = {name: value for name, value in writer.attributes.items() if name not in _FOREIGN}
    writer.finish(writer.write(kind, *operands, **attributes))


def shift(writer: Writer) -> None:
    """A sum with a quantised bias."""
    writer.finish(writer.write(writer.node.op_type, *map(writer.floats, writer.node.input)))


def _quantise(writer: Writer) -> None:
    writer.finish(writer.floats(writer.input(0)))


def _quantise_dynamically(writer: Writer) -> None:
    """The scale and the zero point are those of the numbers; constants stand for both."""
    writer.finish(writer.floats(writer.input(0)), writer.constant(1, np.float32), writer.constant(0, np.uint8))


def _mean(writer: Writer) -> None:
    axes = writer.constant(writer.attributes["axes"]) if "axes" in writer.attributes else ""
    keep = writer.attributes.get("keepdims")
    writer.finish(writer.write("ReduceMean", writer.floats(writer.input(0)), axes, keepdims=keep))


def _concatenate(writer: Writer) -> None:
    operands = [writer.floats(writer.input(index)) for index in range(2, len(writer.node.input), 3)]
    writer.finish(writer.write("Concat", *operands, axis=writer.attributes["axis"]))


def _product(bias: int) -> Callable[[Writer], None]:
    """A matrix product of the first two operands, with a bias at some position."""

    def write(writer: Writer) -> None:
        product = writer.write("MatMul", *(writer.floats(writer.input(index)) for index in (0, 1)))
        writer.finish(writer.add(product, writer.input(bias)))

    return write


def _packed_product(bias: int) -> Callable[[Writer], None]:
    """A matrix product with weights of a few bits in blocks: as many numbers as the matrix has."""

    def write(writer: Writer) -> None:
        weights = writer.weights(writer.attributes["K"], writer.attributes["N"])
        writer.finish(writer.add(writer.write("MatMul", writer.input(0), weights), writer.input(bias)))

    return write


def _recur(writer: Writer) -> None:
    """An LSTM whose matrices have their axes the other way round."""
    matrices = [writer.write("Transpose", writer.floats(writer.input(index)), perm=_SWAPPED) for index in (1, 2)]
    rest = [writer.input(index) for index in range(3, 8)]
    outputs = writer.write("LSTM", writer.input(0), *matrices, *rest, outputs=3, **writer.attributes)
    writer.finish(*outputs)


QUANTISED: dict[str, Callable[[Writer], None]] = {
    **dict.fromkeys(_PLAIN, _plain),
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _quantise,
    "DynamicQuantizeLinear": _quantise_dynamically,
    "QLinearConcat": _concatenate,
    "QLinearReduceMean": _mean,
    "MatMulIntegerToFloat": _product(bias=6),
    "DynamicQuantizeMatMul": _product(bias=4),
    "MatMulNBits": _packed_product(bias=5),
    "MatMulBnb4": _packed_product(bias=3),
    "DynamicQuantizeLSTM": _recur,
}
"""Functions that write quantised operators as plain operators, by name."""

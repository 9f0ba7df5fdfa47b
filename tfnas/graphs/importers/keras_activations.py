"""Activations of Keras 3 as operations of TensorFlow."""

import functools
from collections.abc import Callable

from tfnas.graphs.importers.keras_operations import Operations, Tensor

Activation = Callable[[Operations, Tensor], Tensor]


def _linear(operations: Operations, data: Tensor) -> Tensor:
    return data


def _single(kind: str) -> Activation:
    return functools.partial(_one, kind)


def _one(kind: str, operations: Operations, data: Tensor) -> Tensor:
    return operations.elementwise(kind, data)


def _silu(operations: Operations, data: Tensor) -> Tensor:
    beta = operations.number("beta")
    gate = operations.elementwise("Sigmoid", operations.elementwise("Mul", beta, data, label="mul"))
    product = operations.elementwise("Mul", data, gate, label="mul")
    shapes, floating = [product.shape, data.shape, ()], [True] * 3
    return operations.several("IdentityN", [product, data, beta], shapes, floating)


def _hard_sigmoid(operations: Operations, data: Tensor) -> Tensor:
    three, six = operations.number("Const"), operations.number("Const")
    raised = operations.elementwise("AddV2", data, three, label="add")
    return operations.elementwise("RealDiv", operations.elementwise("Relu6", raised), six, label="truediv")


def _hard_silu(operations: Operations, data: Tensor) -> Tensor:
    return operations.elementwise("Mul", data, _hard_sigmoid(operations, data), label="mul")


def _gelu(operations: Operations, data: Tensor) -> Tensor:
    elementwise = operations.elementwise
    with operations.scope("Gelu"):
        with operations.scope("mul") as name:
            half = elementwise("Mul", operations.number("x"), data, name=name)
        with operations.scope("Cast"):
            root = operations.number("x")
        tail = elementwise("Erfc", elementwise("Mul", elementwise("Neg", data), root, label="mul"))
        return elementwise("Mul", half, tail, label="mul")


def _mish(operations: Operations, data: Tensor) -> Tensor:
    gate = operations.elementwise("Tanh", operations.elementwise("Softplus", data))
    return operations.elementwise("Mul", data, gate, label="mul")


ACTIVATIONS: dict[str, Activation] = {
    "linear": _linear,
    "relu": _single("Relu"),
    "relu6": _single("Relu6"),
    "leaky_relu": _single("LeakyRelu"),
    "elu": _single("Elu"),
    "selu": _single("Selu"),
    "sigmoid": _single("Sigmoid"),
    "tanh": _single("Tanh"),
    "exponential": _single("Exp"),
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "softmax": _single("Softmax"),
    "gelu": _gelu,
    "mish": _mish,
    "silu": _silu,
    "swish": _silu,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_sigmoid": _hard_sigmoid,
}
"""Activations by the names that configurations give them."""

"""Loops of TensorFlow Lite, such as those of recurrent layers: steps, and the operator that a loop stands for."""

import math
from collections.abc import Sequence

import numpy as np

from tfnas.graphs.importers.tflite_files import Operation, Subgraph
from tfnas.graphs.operators import TFLITE

_GATED_PRODUCTS = 3
"""Elementwise products in the cell of an LSTM, and in that of a GRU."""


def steps(condition: Subgraph, body: Subgraph, initial: Sequence[int | None]) -> int | None:
    """The number of steps of a loop that counts up to a bound by ones, None for any other loop.

    Args:
      condition: subgraph that tells whether the loop goes on.
      body: subgraph that runs at each step.
      initial: numbers that the loop starts with, None for all other operands.
    """
    counted = []
    for operation in condition.operations:
        if operation.kind == "LESS" and operation.inputs[0] in condition.inputs:
            index, bound = condition.inputs.index(operation.inputs[0]), integer(condition, operation.inputs[1])
            if bound is not None and initial[index] is not None and _adds_one(body, index):
                counted.append(max(0, bound - initial[index]))
    return min(counted, default=None)


def recurrent_operator(body: Subgraph) -> str | None:
    """The recurrent operator whose step is a body, None for a body without products of weights.

    Each gate multiplies the input and the state of a cell by matrices of the state's width: the products are twice as
    wide as the state of a plain cell, six times for a GRU, eight times for an LSTM, which has two states.
    """
    weighted = [operation for operation in body.operations if _is_weighted(body, operation)]
    if not weighted:
        return None
    changed = [
        body.tensors[before]
        for before, after in zip(body.inputs, body.outputs, strict=True)
        if before != after and body.tensors[before].floating and len(body.tensors[before].shape) == 2
    ]
    width = sum(body.tensors[operation.outputs[0]].shape[-1] or 0 for operation in weighted)
    states = sum(state.shape[-1] or 0 for state in changed)
    gated = sum(operation.kind == "MUL" for operation in body.operations) >= _GATED_PRODUCTS
    return {4 * states: "lstm", 6 * states: "gru"}.get(width, "rnn") if gated else "rnn"


def results_first(body: Subgraph) -> list[int]:
    """Positions of the outputs of a loop: what the loop computes, the largest first, then what it only hands on."""

    def rank(position: int) -> tuple[bool, int]:
        tensor = body.tensors[body.outputs[position]]
        computed = tensor.floating and body.outputs[position] not in body.inputs
        return not computed, -math.prod(extent or 1 for extent in tensor.shape)

    return sorted(range(len(body.outputs)), key=rank)


def _is_weighted(body: Subgraph, operation: Operation) -> bool:
    operands = [body.tensors[number] for number in operation.inputs[:2] if number >= 0]
    return TFLITE.get(operation.kind) == "matmul" and any(tensor.constant for tensor in operands)


def _adds_one(body: Subgraph, index: int) -> bool:
    made = [operation for operation in body.operations if body.outputs[index] in operation.outputs]
    if len(made) != 1 or made[0].kind != "ADD" or made[0].inputs[0] != body.inputs[index]:
        return False
    return integer(body, made[0].inputs[1]) == 1


def integer(graph: Subgraph, number: int) -> int | None:
    """The integer that a constant of a subgraph holds, None for all other tensors."""
    tensor = graph.tensors[number]
    if not len(tensor.data) or tensor.type != "INT32" or tensor.numbers != 1:
        return None
    return int(np.frombuffer(tensor.data, np.int32, count=1)[0])

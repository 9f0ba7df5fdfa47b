"""The number of turns of ONNX loops whose conditions depend on a few known numbers alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.graphs.importers.onnx_models import attributes_of
from tfnas.graphs.importers.onnx_values import Call, evaluate

_MAX_TURNS, _MAX_STEPS = 4096, 16
"""Bounds on what is computed for one loop: turns, and operators in a turn."""

_MAX_WORK = 2**17
"""Operators that are computed for all loops of a model together."""

_SCALAR = {
    *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Cast", "Identity", "Squeeze", "Unsqueeze"),
    *("Reshape", "And", "Or", "Not", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Where"),
}
"""Operators whose results are single numbers if their operands are."""


class TurnCounter:
    """Runs the conditions of loops, of which it computes single numbers alone.

    Args:
      values: known numbers by the tensor's name.
    """

    def __init__(self, values: Mapping[str, np.ndarray]):
        self._values, self._room = values, _MAX_WORK

    def count(
        self,
        nodes: Sequence[Any],
        inputs: Sequence[str],
        outputs: Sequence[str],
        initial: Sequence[np.ndarray | None],
        limit: int | None,
    ) -> int | None:
        """The turns until the condition of a loop is false, None if they are not known.

        Args:
          nodes: nodes of the body in topological order.
          inputs: inputs of the body: the number of the turn, the condition, then what the last turn hands over.
          outputs: results of the body: the condition, then what it hands to the next turn.
          initial: values that the first turn is handed, None for unknown values.
          limit: most turns, None if they have no limit or an unknown one.
        """
        handed = dict(zip(inputs[1:], outputs, strict=False))
        steps, read = _needed(nodes, outputs[0], handed)
        handed = {name: result for name, result in handed.items() if name in read or name == inputs[1]}
        state = {name: value for name, value in zip(inputs[1:], initial, strict=False) if name in handed}
        if steps is None:
            return None
        for turn in range(_MAX_TURNS):
            condition = state[inputs[1]]
            self._room -= len(steps)
            if condition is None or condition.size != 1 or self._room < 0:
                return None
            if turn == limit or not condition.all():
                return turn
            known = self._turn(steps, {**state, inputs[0]: np.array(turn)})
            following = {name: known.get(result, self._values.get(result)) for name, result in handed.items()}
            if inputs[0] not in read and all(np.array_equal(following[name], state[name]) for name in handed):
                return limit  # the condition stays as it is
            state = following
        return None

    def _turn(self, steps: Sequence[Any], known: dict[str, np.ndarray | None]) -> dict[str, np.ndarray | None]:
        """What is known after the operators of a turn."""
        for node in steps:
            operands = [known.get(name, self._values.get(name)) for name in node.input]
            if all(operand is not None and operand.size == 1 for operand in operands):
                results = evaluate(node.op_type, Call(operands, attributes_of(node)))
                known[node.output[0]] = results[0] if results else None
        return known


def _needed(nodes: Sequence[Any], condition: str, handed: Mapping[str, str]) -> tuple[list[Any] | None, set[str]]:
    """The nodes behind the conditions of all turns, None if they are many or not on single numbers; what they read."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    needed: set[int] = set()
    seen, stack = {condition}, [condition]
    while stack:
        name = stack.pop()
        reads = [handed[name]] if name in handed else []
        if name in makers:
            node = nodes[makers[name]]
            needed.add(makers[name])
            reads = list(node.input)
            if node.op_type not in _SCALAR or len(needed) > _MAX_STEPS:
                return None, seen
        stack.extend(set(reads) - seen)
        seen.update(reads)
    return [nodes[number] for number in sorted(needed)], seen

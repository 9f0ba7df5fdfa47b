"""Extents of exported programs of PyTorch: expressions of symbols in the notation of SymPy. No code runs."""

import ast
import math
from collections.abc import Callable, Mapping, Sequence

_MAX_LENGTH = 4096
_MAX_VALUE = 2**62


def _power(values: Sequence[int]) -> int:
    base, exponent = values
    if not 0 <= exponent * base.bit_length() <= 64:
        raise ValueError("a large power")
    return base**exponent


_FUNCTIONS: dict[str, Callable[[Sequence[int]], int]] = {
    "Add": sum,
    "Mul": math.prod,
    "Pow": _power,
    "Max": max,
    "Min": min,
    "FloorDiv": lambda values: values[0] // values[1],
    "CleanDiv": lambda values: values[0] // values[1],
    "CeilDiv": lambda values: -(-values[0] // values[1]),
    "Mod": lambda values: values[0] % values[1],
    "PythonMod": lambda values: values[0] % values[1],
    "ModularIndexing": lambda values: values[0] // values[1] % values[2],
}


def symbol(expression: str) -> str | None:
    """The name of the symbol that is all of an expression, None for any other expression.

    Example:
      >>> symbol("Symbol('s0', positive=True, integer=True)")
      's0'
    """
    tree = _parsed(expression)
    return _symbol(tree) if tree is not None else None


def evaluate(expression: str, symbols: Mapping[str, int]) -> int | None:
    """The value of an expression, None for unknown symbols and functions.

    Example:
      >>> evaluate("Add(FloorDiv(Symbol('s0', integer=True), Integer(2)), Integer(1))", {"s0": 9})
      5
    """
    tree = _parsed(expression)
    try:
        return None if tree is None else _value(tree, symbols)
    except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError):
        return None


def _parsed(expression: str) -> ast.expr | None:
    try:
        return ast.parse(expression, mode="eval").body if len(expression) <= _MAX_LENGTH else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _symbol(tree: ast.expr) -> str | None:
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Symbol" and tree.args:
        name = tree.args[0]
        return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
    return None


def _value(tree: ast.expr, symbols: Mapping[str, int]) -> int:
    name = _symbol(tree)
    if name is not None:
        return symbols[name]
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_value(tree.operand, symbols)
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return tree.value
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ValueError("no expression of integers")
    values = [_value(argument, symbols) for argument in tree.args]
    value = values[0] if tree.func.id == "Integer" else _FUNCTIONS[tree.func.id](values)
    if abs(value) > _MAX_VALUE:
        raise ValueError("a large number")
    return value

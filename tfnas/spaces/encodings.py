"""How other packages write architectures: a row per form of a space, and the values that texts and objects stand for.

Texts are read as JSON or as Python's notation, without running anything: literals, `range`, `array`, and the
constructors in `CONSTRUCTORS`.
"""

import ast
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

CONSTRUCTORS = {
    "Genotype": ("normal", "normal_concat", "reduce", "reduce_concat"),
    "ModelSpec": ("matrix", "ops", "data_format"),
}
"""Classes of other packages that a text may call, with their arguments; the value is a dictionary of the arguments."""

_LONGEST_RANGE = 100
_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A row of `Space.encodings`.

    Attributes:
      form: the form in words, for messages.
      matches: function from a value of JSON's types to whether the value has the form.
      read: function from the space and a value of the form to an architecture, which need not be valid.
      write: function from the space and a valid architecture to text, numbers, tuples, lists or dictionaries; raises
        InvalidArchitectureError for an architecture that the form can't say.

    Example:
      >>> from tfnas.spaces import SPACES
      >>> list(SPACES["nasbench201"].encodings)
      ['nats_bench', 'naslib', 'index', 'graph']
    """

    form: str
    matches: Callable[[Any], bool]
    read: Callable[[Any, Any], Any]
    write: Callable[[Any, Any], Any]


def candidates(value: Any) -> list[Any]:
    """What a value may stand for: a text for itself and for what it writes, an object for its plain value."""
    if not isinstance(value, str):
        return [plain(value)]
    text = value.strip()
    return [text, *(candidate for parsed in _parsed(text) for candidate in candidates(parsed))]


def plain(value: Any) -> Any:
    """A value in JSON's types: arrays, tuples and ranges as lists, named tuples and other objects as dictionaries."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):  # an array or a number of NumPy's
        return value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    # An object inside an object describes no architecture.
    fields = getattr(value, "__dict__", {})
    return {name: plain(item) for name, item in fields.items() if not hasattr(item, "__dict__")}


def shown(value: Any) -> str:
    """A value for messages, on one line and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def is_integer(value: Any) -> bool:
    """Whether a plain value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_list(value: Any, length: int, item: Callable[[Any], bool]) -> bool:
    """Whether a plain value is a list of so many items, each of a kind."""
    return isinstance(value, list) and len(value) == length and all(map(item, value))


def _parsed(text: str) -> list[Any]:
    """The value that a text writes in JSON or in Python, in a list; an empty list if the text writes none."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    try:
        (statement,) = ast.parse(text).body
        return [_value(statement.value)] if isinstance(statement, ast.Expr | ast.Assign) else []
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return []


def _value(node: ast.AST | None) -> Any:
    """The plain value of an expression; raises ValueError for anything but literals and `CONSTRUCTORS`."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(item) for key, item in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        arguments = [_value(argument) for argument in node.args]
        if name == "range" and len(range(*arguments)) <= _LONGEST_RANGE:
            return list(range(*arguments))
        if name == "array" and len(arguments) == 1:
            return arguments[0]
        if name in CONSTRUCTORS:
            keywords = {keyword.arg: _value(keyword.value) for keyword in node.keywords}
            return dict(zip(CONSTRUCTORS[name], arguments, strict=False)) | keywords
    raise ValueError(f"{node} is no literal")

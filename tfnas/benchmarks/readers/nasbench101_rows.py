"""Parses records of the official NAS-Bench-101 files, thousands at a time, with NumPy instead of a loop.

Records are written by one program, so nearly all of them have one of a few shapes: the place of every quote and of
every protobuf field is found for all records at once. A record of another shape is rewritten by Python's `json`, and
protobufs are grouped by the places of their fields, however many such groups there are.
"""

import binascii
import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from tfnas.errors import CorruptArtefactError
from tfnas.spaces import ABSENT, NASBench101

QUANTITIES = tuple(
    f"{when}{quantity}"
    for when in ("halfway_", "")
    for quantity in ("training_seconds", "train_accuracy", "validation_accuracy", "test_accuracy")
)
"""The columns of `Rows.metrics`."""

_QUOTE, _BACKSLASH, _COMMA, _SPACE, _OPEN, _CLOSE = b'"\\, []'
_NIBBLES = np.full(256, 255, np.uint8)
_NIBBLES[list(b"0123456789abcdef")] = range(16)
_MAX_EPOCHS_DIGITS = 4
_EVALUATIONS = 3


class RowError(CorruptArtefactError):
    """A record that can't be read.

    Attributes:
      row: position of the record among the given records.
    """

    def __init__(self, row: int, reason: str):
        super().__init__(reason)
        self.row = row


@dataclasses.dataclass(frozen=True)
class Rows:
    """n records.

    Attributes:
      md5: uint8 `[n, 16]`.
      epochs: int16 `[n]`.
      operations: uint8 `[n, 7]`, codes of the space, padded with `ABSENT`.
      edge_bits: uint32 `[n]`, edge i -> j at bit `i + j(j-1)/2`.
      parameters: int32 `[n]`.
      metrics: `[n, 8]`, the `QUANTITIES`; float32 if that loses nothing, else float64.
    """

    md5: np.ndarray
    epochs: np.ndarray
    operations: np.ndarray
    edge_bits: np.ndarray
    parameters: np.ndarray
    metrics: np.ndarray

    def __len__(self) -> int:
        return len(self.md5)

    @classmethod
    def concatenate(cls, tables: Sequence["Rows"]) -> "Rows":
        """All records of several parts."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(table, name) for table in tables]) for name in names))


def parse_rows(rows: Sequence[bytes]) -> Rows:
    """Reads records.

    Args:
      rows: n records as the file holds them, n >= 1.

    Raises:
      RowError: the first record that can't be read, and why.
    """
    text = b"".join(rows)
    quotes = _find_quotes(text, rows)
    if quotes is None:
        rows = [_rewrite(number, row) for number, row in enumerate(rows)]
        text = b"".join(rows)
        quotes = _find_quotes(text, rows)
        if quotes is None:
            for number, row in enumerate(rows):
                if _find_quotes(row, [row]) is None:
                    raise RowError(number, "not an array of hash, epochs, adjacency, operations and metrics")
    data = np.frombuffer(text, np.uint8)
    vertices, edge_bits = _adjacency(data, quotes)
    metrics, parameters = _metrics(text, quotes)
    return Rows(
        _hashes(data, quotes),
        _epochs(data, quotes),
        _operations(text, quotes, vertices),
        edge_bits,
        parameters,
        metrics,
    )


def _find_quotes(text: bytes, rows: Sequence[bytes]) -> np.ndarray | None:
    """int64 `[n, 8]`: the quotes around the four strings of each record; None if a record has another shape."""
    data = np.frombuffer(text, np.uint8)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) != 8 * len(rows) or (data == _BACKSLASH).any():
        return None
    quotes = quotes.reshape(-1, 8)
    hash_open, hash_close, edges_open, edges_close, names_open, names_close, metrics_open, metrics_close = quotes.T
    regular = (hash_open == starts + 1) & (metrics_close == ends - 2) & (hash_close == hash_open + 33)
    regular &= (edges_open >= hash_close + 6) & (edges_open <= hash_close + 5 + _MAX_EPOCHS_DIGITS)
    regular &= (names_open == edges_close + 3) & (metrics_open == names_close + 3)
    if not regular.all():
        return None
    regular = (data[starts] == _OPEN) & (data[ends - 1] == _CLOSE)
    for before, after in ((hash_close, edges_open), (edges_close, names_open), (names_close, metrics_open)):
        regular &= (data[before + 1] == _COMMA) & (data[before + 2] == _SPACE)
        regular &= (data[after - 1] == _SPACE) & (data[after - 2] == _COMMA)
    return quotes if regular.all() else None


def _rewrite(number: int, row: bytes) -> bytes:
    """The same record as Python's `json` writes it."""
    try:
        values = json.loads(row)
    except (ValueError, RecursionError) as error:
        raise RowError(number, f"not JSON ({error})") from error
    types = [str, int, str, str, str]
    if not isinstance(values, list) or [type(value) for value in values] != types:
        raise RowError(number, "not an array of hash, epochs, adjacency, operations and metrics")
    return json.dumps(values).encode()


def _first(wrong: np.ndarray, reason: str) -> None:
    if wrong.any():
        raise RowError(int(np.argmax(wrong)), reason)


def _hashes(data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    nibbles = _NIBBLES[data[quotes[:, :1] + np.arange(1, 33)]]
    _first((nibbles > 15).any(axis=1), "the hash is not 32 lower-case hexadecimal digits")
    return nibbles[:, ::2] << 4 | nibbles[:, 1::2]


def _epochs(data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    start, end = quotes[:, 1] + 3, quotes[:, 2] - 2
    epochs = np.zeros(len(quotes), np.int64)
    for digit in range(_MAX_EPOCHS_DIGITS):
        inside = start + digit < end
        digits = data[np.where(inside, start + digit, 0)].astype(np.int64) - ord("0")
        _first(inside & ((digits < 0) | (digits > 9)), "the number of epochs is not a whole number")
        epochs = np.where(inside, epochs * 10 + digits, epochs)
    _first(epochs < 1, "the number of epochs is 0")
    return epochs.astype(np.int16)


def _adjacency(data: np.ndarray, quotes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of vertices and edge bits of every record."""
    start, length = quotes[:, 2] + 1, quotes[:, 3] - quotes[:, 2] - 1
    vertices = np.sqrt(length).round().astype(np.int64)
    wrong = (vertices**2 != length) | (vertices < 2) | (vertices > NASBench101.max_vertices)
    _first(wrong, f"the adjacency matrix is not square, of 2 to {NASBench101.max_vertices} rows")
    bits = np.zeros(len(quotes), np.uint32)
    for size in np.unique(vertices).tolist():
        which = np.flatnonzero(vertices == size)
        matrices = data[start[which, None] + np.arange(size * size)].reshape(-1, size, size)
        wrong = np.zeros(len(quotes), bool)
        wrong[which] = ((matrices != ord("0")) & (matrices != ord("1"))).any(axis=(1, 2))
        _first(wrong, "the adjacency matrix holds something other than 0 and 1")
        edges = matrices == ord("1")
        wrong[which] = (edges & np.tri(size, dtype=bool)).any(axis=(1, 2))
        _first(wrong, "the adjacency matrix is not strictly upper triangular")
        for j in range(1, size):
            for i in range(j):
                bits[which] |= edges[:, i, j].astype(np.uint32) << np.uint32(i + j * (j - 1) // 2)
    return vertices, bits


def _operations(text: bytes, quotes: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Few lists of operations exist, so that each is parsed once."""
    names = [text[start:end] for start, end in zip((quotes[:, 4] + 1).tolist(), quotes[:, 5].tolist(), strict=True)]
    known: dict[bytes, int] = {}
    numbers = np.fromiter((known.setdefault(name, len(known)) for name in names), np.int64, len(names))
    codes = {name.encode(): code for code, name in enumerate(NASBench101.operations)}
    table = np.full((len(known), NASBench101.max_vertices), ABSENT, np.uint8)
    widths = np.zeros(len(known), np.int64)
    for name, number in known.items():
        operations = [codes.get(operation) for operation in name.split(b",")]
        if None not in operations and len(operations) <= NASBench101.max_vertices:
            table[number, : len(operations)], widths[number] = operations, len(operations)
    _first(widths[numbers] == 0, f"the operations are not up to 7 of {', '.join(NASBench101.operations)}")
    _first(widths[numbers] != vertices, "there are not as many operations as rows in the adjacency matrix")
    return table[numbers]


def _metrics(text: bytes, quotes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `QUANTITIES` `[n, 8]` and parameters `[n]`."""
    messages = []
    for start, end in zip((quotes[:, 6] + 1).tolist(), quotes[:, 7].tolist(), strict=True):
        try:
            messages.append(binascii.a2b_base64(text[start:end], strict_mode=True))
        except binascii.Error as error:
            raise RowError(len(messages), f"the metrics are not base64 ({error})") from error
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    metrics, parameters = np.zeros((len(messages), len(QUANTITIES))), np.zeros(len(messages), np.int64)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        bytes_ = np.frombuffer(b"".join([messages[row] for row in rows]), np.uint8).reshape(len(rows), length)
        while len(rows):
            layout = _Layout(messages[rows[0]], int(rows[0]))
            same = layout.matches(bytes_)
            metrics[rows[same]], parameters[rows[same]] = layout.read(bytes_[same])
            rows, bytes_ = rows[~same], bytes_[~same]
    _first(~np.isfinite(metrics).all(axis=1), "the metrics hold NaN or infinity")
    accuracies = metrics.reshape(-1, 2, 4)[:, :, 1:]
    _first(((accuracies < 0) | (accuracies > 1)).any(axis=(1, 2)), "an accuracy is not in [0, 1]")
    _first((metrics.reshape(-1, 2, 4)[:, :, 0] < 0).any(axis=1), "a training time is negative")
    _first((parameters < 0) | (parameters >= 1 << 31), "the number of parameters is not a positive 32-bit number")
    with np.errstate(over="ignore"):
        single = metrics.astype(np.float32)
    return (single if (single == metrics).all() else metrics), parameters.astype(np.int32)


class _Layout:
    """Where the fields of a `ModelMetrics` message lie; shared by all messages with the same tags at the same places.

    Args:
      message: message of the layout.
      row: position of the record, for errors.
    """

    def __init__(self, message: bytes, row: int):
        self._message, self._row = message, row
        self._structure = np.zeros(len(message), bool)  # tags and lengths: equal in all messages of this layout
        self._varint: tuple[int, int] | None = None
        self._doubles: list[dict[int, int]] = []
        position = 0
        while position < len(message):
            field, wire, position = self._tag(position)
            if wire == 2:
                length, end = self._number(position)
                self._structure[position:end] = True
                position = end + length
                if position > len(message):
                    raise RowError(row, f"the metrics end inside field {field}")
                if field == 1:
                    self._doubles.append(self._evaluation(end, position))
            elif wire == 0:
                _, end = self._number(position)
                if field == 2:
                    self._varint = position, end
                else:
                    self._structure[position:end] = True
                position = end
            else:
                position = self._skip(wire, field, position, len(message))
        if len(self._doubles) != _EVALUATIONS:
            raise RowError(row, f"the metrics hold {len(self._doubles)} evaluations, expected {_EVALUATIONS}")
        self._continued = np.frombuffer(message, np.uint8)[slice(*(self._varint or (0, 0)))] & 0x80

    def matches(self, messages: np.ndarray) -> np.ndarray:
        """bool `[n]` for messages uint8 `[n, length]` of this one's length."""
        message = np.frombuffer(self._message, np.uint8)
        same = (messages[:, self._structure] == message[self._structure]).all(axis=1)
        if self._varint:
            same &= ((messages[:, slice(*self._varint)] & 0x80) == self._continued).all(axis=1)
        return same

    def read(self, messages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The `QUANTITIES` float64 `[n, 8]` and parameters int64 `[n]`; a field that is absent is 0, as in protobuf."""
        metrics = np.zeros((len(messages), len(QUANTITIES)))
        for which, evaluation in enumerate(self._doubles[1:]):
            for position, field in enumerate((2, 3, 4, 5)):
                if field in evaluation:
                    start = evaluation[field]
                    values = np.ascontiguousarray(messages[:, start : start + 8]).view("<f8")[:, 0]
                    metrics[:, 4 * which + position] = values
        parameters = np.zeros(len(messages), np.int64)
        if self._varint:
            for shift, column in enumerate(messages[:, slice(*self._varint)].T):
                parameters |= (column & 0x7F).astype(np.int64) << (7 * shift)
        return metrics, parameters

    def _evaluation(self, position: int, end: int) -> dict[int, int]:
        """Offsets of the doubles of an `EvaluationData`, by field."""
        doubles: dict[int, int] = {}
        while position < end:
            field, wire, position = self._tag(position)
            if wire == 1 and field <= 5:
                doubles[field] = position
                position += 8
            elif wire == 2:
                length, start = self._number(position)
                self._structure[position:start] = True
                position = start + length
            else:
                position = self._skip(wire, field, position, end)
            if position > end:
                raise RowError(self._row, f"an evaluation ends inside field {field}")
        return doubles

    def _skip(self, wire: int, field: int, position: int, limit: int) -> int:
        """The end of a field that nothing is read from. Its bytes may differ, unless their number depends on them."""
        if wire == 0:
            _, end = self._number(position)
            self._structure[position:end] = True
        elif wire in (1, 5):
            end = position + (8 if wire == 1 else 4)
        else:
            raise RowError(self._row, f"the metrics are not a protobuf (field {field} of type {wire})")
        if end > limit:
            raise RowError(self._row, f"the metrics end inside field {field}")
        return end

    def _tag(self, position: int) -> tuple[int, int, int]:
        """Field number, wire type and the position after the tag."""
        value, end = self._number(position)
        self._structure[position:end] = True
        if value >> 3 == 0:
            raise RowError(self._row, "the metrics are not a protobuf (field 0)")
        return value >> 3, value & 7, end

    def _number(self, position: int) -> tuple[int, int]:
        """A variable-length number and the position after it."""
        value = 0
        for count, byte in enumerate(self._message[position : position + 10]):
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                return value, position + count + 1
        raise RowError(self._row, "the metrics end inside a number")

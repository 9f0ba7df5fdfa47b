"""The compact table: architectures of one space and what was measured of them, in one `.npz` file.

Arrays of a file:

| array | type | meaning |
|---|---|---|
| `header` | string, a JSON object | `format` ("tfnas-table"), `version` (1), `space`, `source`, further facts |
| `operations` | uint8 `[N, V]` | index into the space's operations, 255 for a vertex that a smaller cell lacks |
| `edges` | uint8 `[N, ceil(V(V-1)/16)]` | upper triangle of the adjacency matrix, row by row, packed into bits |
| `hashes` | uint64 `[N]` | the space's `canonical_hashes` |
| any other | a number type, `[N]` or `[N, K]` | a column: one value per architecture, or K of them |

Columns are called `[<data set>_]<quantity>[_<epochs>]`, for example `cifar10_validation_accuracy_200`. Accuracies are
fractions, times are seconds, a missing value is NaN. Two-dimensional columns hold repeats, unless the name has
`_curve_`: then they hold one value per epoch. The file's comment is the SHA-256 of all bytes before it.

Files without a header are read if their arrays are those of one of the published layouts in `layouts.py`.
"""

import dataclasses
import functools
import hashlib
import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfnas import archives, artefacts
from tfnas.benchmarks.readers import layouts
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, TfnasError
from tfnas.spaces import Architecture, CellTable, NASBench101, Space, get_space
from tfnas.spaces.nasbench101 import md5_hashes

FORMAT, VERSION = "tfnas-table", 1
_COMMENT = b"sha256:"
_COMMENT_BYTES = len(_COMMENT) + 64
_STRUCTURE = ("header", "operations", "edges", "hashes")


@dataclasses.dataclass(frozen=True, eq=False)
class CompactTable:
    """N architectures with measurements.

    Attributes:
      space: search space of the architectures.
      cells: N architectures.
      columns: `[N]` or `[N, K]` each.
      hashes: uint64 `[N]`, the space's canonical hashes.
      facts: further entries of the header, such as `source`.

    Raises:
      ConfigurationError: arrays of different length, objects, or a column with the name of a structural array.
    """

    space: Space
    cells: CellTable
    columns: Mapping[str, np.ndarray]
    hashes: np.ndarray
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in {**self.columns, "hashes": self.hashes}.items():
            if name in _STRUCTURE[:3] or len(column) != len(self.cells) or column.dtype.kind not in "buifU":
                raise ConfigurationError(
                    f"column {name!r} has type {column.dtype} and shape {column.shape}, expected numbers "
                    f"[{len(self.cells)}] or [{len(self.cells)}, K]"
                )

    def __len__(self) -> int:
        return len(self.cells)

    def architecture(self, row: int) -> Architecture:
        """The architecture of a row."""
        return self.space.architecture(self.cells, row)

    def values(self, column: str) -> np.ndarray:
        """One float64 per row: the column, the mean over its repeats (NaN left out), or the last epoch of a curve.

        Raises:
          ConfigurationError: there is no such column, or it does not hold numbers.
        """
        values = self.repeats(column)
        if values.shape[1] == 1:
            return values[:, 0]
        present = np.isfinite(values)
        total = np.where(present, values, 0.0).sum(axis=1)
        return np.where(present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), np.nan)

    def repeats(self, column: str) -> np.ndarray:
        """float64 `[N, K]`: the repeats of a column; one value per row of a column without repeats, or of a curve.

        Raises:
          ConfigurationError: there is no such column, or it does not hold numbers.
        """
        if column not in self.columns or self.columns[column].dtype.kind not in "buif":
            numeric = [name for name, values in self.columns.items() if values.dtype.kind in "buif"]
            raise ConfigurationError(f"no column {column!r} in the table, expected one of {', '.join(sorted(numeric))}")
        values = self.columns[column].astype(np.float64)
        if values.ndim == 1:
            return values[:, None]
        return values[:, -1:] if "_curve_" in column else values

    def rows(self, cells: CellTable) -> np.ndarray:
        """int64 `[n]`: the row of an architecture isomorphic to each given one, -1 where there is none. Vectorised."""
        hashes = self.space.canonical_hashes(cells)
        order, ordered = self._index
        positions = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
        return np.where(ordered[positions] == hashes, order[positions], -1)

    def row(self, architecture: Architecture) -> int:
        """The row of an architecture; a few microseconds if it is stored as given, not as an isomorphic one.

        Raises:
          InvalidArchitectureError: it is not valid in the space, or the table does not hold it.
        """
        row = self._exact.get(self._key(architecture))
        if row is None:
            row = int(self.rows(self.space.to_table([architecture]))[0])
        if row < 0:
            raise InvalidArchitectureError(f"the table has no row for {self.space.to_string(architecture)}")
        return row

    @functools.cached_property
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.hashes, kind="stable")
        return order, self.hashes[order]

    @functools.cached_property
    def _exact(self) -> dict[bytes, int]:
        """Rows by operation codes and adjacency matrix, without padding."""
        widths = self.cells.num_vertices
        result: dict[bytes, int] = {}
        for width in np.unique(widths):
            rows = np.flatnonzero(widths == width)
            adjacency = self.cells.adjacency[rows, :width, :width].reshape(len(rows), -1)
            keys = np.concatenate([self.cells.operations[rows, :width], adjacency], axis=1)
            result.update(zip(map(bytes, keys), rows.tolist(), strict=True))
        return result

    @functools.cached_property
    def _codes(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.space.operations)}

    def _key(self, architecture: Architecture) -> bytes:
        codes = self._codes
        return bytes([codes.get(name, 255) for name in architecture.operations]) + architecture.adjacency.tobytes()


def write_table(
    path: artefacts.PathLike, space: Space, cells: CellTable, columns: Mapping[str, np.ndarray], **facts: Any
) -> None:
    """Writes a compact table, atomically and with the same bytes for the same content.

    Args:
      path: the file.
      space: search space of the architectures.
      cells: N architectures.
      columns: measurements, `[N]` or `[N, K]`.
      **facts: JSON values for the header.

    Raises:
      ConfigurationError: see `CompactTable`.
      InvalidArchitectureError: a cell is not valid in the space.
    """
    valid = space.validate_many(cells)
    if not valid.all():
        row = int(np.argmin(valid))
        space.require_valid(space.architecture(cells, row))
    table = CompactTable(space, cells, columns, space.canonical_hashes(cells))
    header = {**facts, "format": FORMAT, "version": VERSION, "space": space.name}
    content = artefacts.npz_bytes(
        **table.columns,
        header=np.array(json.dumps(header, sort_keys=True)),
        operations=cells.operations,
        edges=pack_edges(cells.adjacency),
        hashes=table.hashes,
    )
    with artefacts.atomic_file(path) as file:
        file.write(_with_checksum(content))


def read_table(path: artefacts.PathLike, space: Space | None = None) -> CompactTable:
    """Reads a compact table, or a file of one of the published layouts.

    Args:
      path: the file.
      space: search space of the table; by default the space of the table's name in `spaces.SPACES`.

    Raises:
      CorruptArtefactError: the file is missing, damaged (the error names the array and its offset), or no table.
      ConfigurationError: the table is of another space than the given one, or of an unknown one.
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    arrays = archives.read_arrays(io.BytesIO(content), path)
    if "header" not in arrays:
        try:
            return CompactTable(*layouts.convert(arrays))
        except TfnasError as error:
            raise type(error)(f"{path}: {error}") from error
    _verify_checksum(path, content)
    try:
        header = json.loads(str(arrays.pop("header")))
        kind = (header["format"], header["version"])
        name = header.pop("space")
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtefactError(f"{path}: header is not a JSON object with format, version and space") from error
    if kind != (FORMAT, VERSION):
        raise CorruptArtefactError(f"{path}: format {kind}, expected {(FORMAT, VERSION)}")
    if space is not None and space.name != name:
        raise ConfigurationError(f"{path}: a table of {name}, expected {space.name}")
    space = space or get_space(name)
    try:
        operations, edges, hashes = (arrays.pop(key) for key in _STRUCTURE[1:])
        cells = CellTable(operations, unpack_edges(edges, space.max_vertices))
        if operations.shape != (len(edges), space.max_vertices):
            raise ConfigurationError(f"operations has shape {operations.shape}, edges {edges.shape}")
        return CompactTable(space, cells, arrays, hashes, header)
    except (KeyError, ConfigurationError, ValueError, IndexError) as error:
        raise CorruptArtefactError(f"{path}: not a table of {name}: {error}") from error


def check_table(table: CompactTable) -> dict[str, Any]:
    """Checks what reading does not: every architecture valid and present once, hashes right, values in their range.

    Returns:
      `rows`, and per numeric column its smallest and largest value, the share that is missing, and the best row.

    Raises:
      CorruptArtefactError: a check fails; the error names the column and the row.
    """
    valid = table.space.validate_many(table.cells)
    if not valid.all():
        row = int(np.argmin(valid))
        reason = table.space.validate(table.architecture(row))
        raise CorruptArtefactError(f"row {row}: not a {table.space.name} architecture: {reason}")
    hashes = table.space.canonical_hashes(table.cells)
    if (hashes != table.hashes).any():
        raise CorruptArtefactError(
            f"row {int(np.argmax(hashes != table.hashes))}: another hash than its architecture's"
        )
    ordered = np.sort(hashes)
    if (ordered[1:] == ordered[:-1]).any():
        first, second = np.flatnonzero(hashes == ordered[1:][ordered[1:] == ordered[:-1]][0])[:2]
        raise CorruptArtefactError(f"rows {first} and {second} are the same architecture")
    if isinstance(table.space, NASBench101) and "md5" in table.columns:
        wrong = (md5_hashes(table.cells) != table.columns["md5"]).any(axis=1)
        if wrong.any():
            raise CorruptArtefactError(f"row {int(np.argmax(wrong))}: another MD5 hash than its architecture's")
    report: dict[str, Any] = {"space": table.space.name, "rows": len(table), "columns": {}}
    for name, column in table.columns.items():
        if column.dtype.kind not in "buif":
            continue
        low = 0.0 if name.endswith("seconds") or "_seconds_" in name or "accuracy" in name else -np.inf
        high = 1.0 if "accuracy" in name else np.inf
        wrong = np.isinf(column) | (column < low) | (column > high)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise CorruptArtefactError(f"row {row}: {name} is {column[row]}, expected {low:g} to {high:g} or NaN")
        values = table.values(name)
        if np.isfinite(values).any():
            best = int(np.nanargmax(values))
            report["columns"][name] = {
                "smallest": float(np.nanmin(values)),
                "largest": float(np.nanmax(values)),
                "missing": float(np.isnan(values).mean()),
                "largest_at": table.space.to_string(table.architecture(best)),
            }
    return report


def pack_edges(adjacency: np.ndarray) -> np.ndarray:
    """uint8 `[N, bytes]`: the upper triangles of `[N, V, V]`, row by row, as bits."""
    rows, columns = np.triu_indices(adjacency.shape[1], 1)
    return np.packbits(adjacency[:, rows, columns], axis=1)


def unpack_edges(edges: np.ndarray, width: int) -> np.ndarray:
    """Inverse of `pack_edges`: uint8 `[N, width, width]`."""
    rows, columns = np.triu_indices(width, 1)
    adjacency = np.zeros((len(edges), width, width), np.uint8)
    adjacency[:, rows, columns] = np.unpackbits(edges, axis=1, count=len(rows))
    return adjacency


def _with_checksum(content: bytes) -> bytes:
    """Appends the SHA-256 as the archive's comment; the length of the comment is the file's last field before it."""
    prefix = content[:-2] + _COMMENT_BYTES.to_bytes(2, "little")
    return prefix + _COMMENT + hashlib.sha256(prefix).hexdigest().encode()


def _verify_checksum(path: pathlib.Path, content: bytes) -> None:
    prefix, comment = content[:-_COMMENT_BYTES], content[-_COMMENT_BYTES:]
    if comment != _COMMENT + hashlib.sha256(prefix).hexdigest().encode():
        raise CorruptArtefactError(
            f"{path}: {len(content)} bytes, whose SHA-256 is not the one in the file's comment (byte {len(prefix)})"
        )

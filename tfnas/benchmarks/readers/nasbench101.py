"""The official NAS-Bench-101 files, read without TensorFlow 1: TFRecords into a compact table, and the API's answers.

A record is a JSON array `[hash, epochs, adjacency, operations, metrics]`; `metrics` is a base64 protobuf with three
evaluations (before, halfway through and after training). Records come in no order, every (hash, epochs) three times.

References:
  Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search", sections 2.2-2.4.
  https://github.com/google-research/nasbench (api.py, lib/model_metrics.proto).
"""

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks.readers.nasbench101_rows import QUANTITIES, RowError, Rows, parse_rows
from tfnas.benchmarks.table import CompactTable, read_table, write_table
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.spaces import Architecture, CellTable, NASBench101
from tfnas.spaces.nasbench101 import prune, unpack_edges

OFFICIAL_RECORDS = {"nasbench_only108.tfrecord": 423_624 * 3, "nasbench_full.tfrecord": 423_624 * 3 * 4}
"""Number of records of the official files, by name."""

_BATCH = 8192
_FRAME = 16  # bytes around every record: its length, and checksums of length and content
_VERIFIED_HASHES = 1000


def convert(source: artefacts.PathLike, target: artefacts.PathLike, records: int | None = None) -> CompactTable:
    """Converts an official file to a compact table with all epochs and repeats.

    The table is sorted by hash. Columns, for every training length E: `train_accuracy_E`, `validation_accuracy_E`,
    `test_accuracy_E` (fractions) and `training_seconds_E`, the same with `halfway_` before, `[N, repeats]` each, in
    the file's order of repeats; `parameters` `[N]`; `md5` uint8 `[N, 16]`. float32 where that loses nothing.

    Args:
      source: TFRecord file.
      target: path of the table.
      records: number of records that the file must hold, by which a file that was cut between two records is told from
        a whole file; by default known for the official files.

    Raises:
      CorruptArtefactError: any damage; the error names the file, the record and its offset.
      ConfigurationError: `records` is needed and missing.
    """
    source = pathlib.Path(source)
    expected = records or OFFICIAL_RECORDS.get(source.name)
    if expected is None:
        raise ConfigurationError(
            f"{source}: not the name of an official file ({', '.join(OFFICIAL_RECORDS)}); "
            "say how many records it must hold"
        )
    chunks: list[Rows] = []
    with tqdm(total=expected, desc=f"Reading {source.name}", unit="record", unit_scale=True) as bar:
        for first, offset, rows in _batches(source):
            try:
                chunks.append(parse_rows(rows))
            except RowError as error:
                at = offset + sum(len(row) + _FRAME for row in rows[: error.row])
                raise CorruptArtefactError(f"{source}: record {first + error.row} at byte {at}: {error}") from error
            bar.update(len(rows))
    count = sum(len(chunk) for chunk in chunks)
    if count != expected:
        size = source.stat().st_size
        raise CorruptArtefactError(
            f"{source}: ends after record {count - 1} at byte {size}, expected {expected} records"
        )
    cells, columns = _assemble(source, Rows.concatenate(chunks))
    del chunks
    write_table(target, NASBench101(), cells, columns, source=source.name, records=expected)
    return read_table(target)


def _batches(path: pathlib.Path) -> Iterator[tuple[int, int, list[bytes]]]:
    """Number of the first record, its offset in bytes, and the records, batch by batch; checksums are checked."""
    if not path.is_file():
        raise CorruptArtefactError(f"{path}: no such file")
    first, offset = 0, 0
    dataset = tf.data.TFRecordDataset(str(path), buffer_size=1 << 22).batch(_BATCH)
    try:
        for batch in dataset.as_numpy_iterator():
            rows = batch.tolist()
            yield first, offset, rows
            first += len(rows)
            offset += sum(map(len, rows)) + _FRAME * len(rows)
    except tf.errors.DataLossError as error:
        match = re.search(r"at (\d+)", error.message)
        number, start = _record_around(path, offset, int(match[1]) if match else offset)
        raise CorruptArtefactError(f"{path}: record {first + number} at byte {start} is damaged or cut off") from error
    if offset != path.stat().st_size:
        raise CorruptArtefactError(f"{path}: record {first} at byte {offset} is cut off inside its header")


def _record_around(path: pathlib.Path, start: int, offset: int) -> tuple[int, int]:
    """Which record holds a byte, counted from the one that begins at `start`, and where it begins."""
    number = 0
    with path.open("rb") as file:
        while True:
            file.seek(start)
            end = start + int.from_bytes(file.read(8), "little") + _FRAME
            if end > offset:
                return number, start
            number, start = number + 1, end


def _assemble(source: pathlib.Path, rows: Rows) -> tuple[CellTable, dict[str, np.ndarray]]:
    """Groups records by hash and training length; the order of repeats is the file's."""
    keys = rows.md5.view(">u8").astype(np.uint64)
    order = np.lexsort((rows.epochs, keys[:, 1], keys[:, 0]))  # stable, so repeats keep their order
    ordered, epochs = keys[order], rows.epochs[order]
    new_cell = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    starts = np.flatnonzero(new_cell)
    lengths = np.unique(epochs)
    per_cell = len(rows) // len(starts)
    repeats = per_cell // len(lengths)
    expected = np.tile(np.repeat(lengths, repeats), len(starts))
    if per_cell * len(starts) != len(rows) or (starts != np.arange(len(starts)) * per_cell).any():
        counts = np.diff(np.append(starts, len(rows)))
        odd = int(np.argmax(counts != np.bincount(counts).argmax()))
        name = rows.md5[order[starts[odd]]].tobytes().hex()
        raise CorruptArtefactError(f"{source}: hash {name} has {counts[odd]} records, others have another number")
    if repeats * len(lengths) != per_cell or (epochs != expected).any():
        odd = int(np.argmax(epochs != expected)) if repeats * len(lengths) == per_cell else 0
        name = rows.md5[order[odd]].tobytes().hex()
        raise CorruptArtefactError(f"{source}: hash {name} lacks a repeat at one of {lengths.tolist()} epochs")
    firsts = np.repeat(order[starts], per_cell)
    _check_same_cell(source, rows, order, firsts)
    space = NASBench101()
    first = order[starts]
    cells = CellTable(rows.operations[first], unpack_edges(rows.edge_bits[first], space.max_vertices))
    valid = space.validate_many(cells)
    if not valid.all():
        row = int(np.argmin(valid))
        reason = space.validate(space.architecture(cells, row))
        raise CorruptArtefactError(f"{source}: record {first[row]} is not a {space.name} cell: {reason}")
    _check_hashes(source, space, cells, rows.md5[first])
    columns = {"md5": rows.md5[first], "parameters": rows.parameters[first]}
    for number, quantity in enumerate(QUANTITIES):
        values = rows.metrics[order, number].reshape(len(starts), len(lengths), repeats)
        for column, length in enumerate(lengths):
            columns[f"{quantity}_{length}"] = np.ascontiguousarray(values[:, column])
    return cells, columns


def _check_same_cell(source: pathlib.Path, rows: Rows, order: np.ndarray, firsts: np.ndarray) -> None:
    """All records of one hash must hold the same cell, up to isomorphism, with the same number of parameters."""
    same = (rows.operations[order] == rows.operations[firsts]).all(axis=1)
    same &= rows.edge_bits[order] == rows.edge_bits[firsts]
    suspicious = np.flatnonzero(~same | (rows.parameters[order] != rows.parameters[firsts]))
    if len(suspicious):
        space = NASBench101()
        hashes = [
            space.canonical_hashes(
                CellTable(rows.operations[which], unpack_edges(rows.edge_bits[which], space.max_vertices))
            )
            for which in (order[suspicious], firsts[suspicious])
        ]
        parameters = rows.parameters
        differs = (hashes[0] != hashes[1]) | (parameters[order[suspicious]] != parameters[firsts[suspicious]])
        if differs.any():
            row = suspicious[np.argmax(differs)]
            raise CorruptArtefactError(
                f"{source}: records {firsts[row]} and {order[row]} have one hash but different cells"
            )


def _check_hashes(source: pathlib.Path, space: NASBench101, cells: CellTable, md5: np.ndarray) -> None:
    """Recomputes the hashes of a thousand cells, evenly spread; `trainers.check_table` recomputes all."""
    for row in np.unique(np.linspace(0, len(cells) - 1, _VERIFIED_HASHES).astype(int)).tolist():
        computed, stored = space.canonical_hash(space.architecture(cells, row)), md5[row].tobytes().hex()
        if computed != stored:
            raise CorruptArtefactError(f"{source}: a cell with hash {stored} hashes to {computed}")


class NASBench101Data:
    """The official API's answers from a converted table.

    Args:
      table: made by `convert`.

    Raises:
      ConfigurationError: the table was not made by `convert`.
    """

    def __init__(self, table: CompactTable):
        self.table = table
        self.valid_epochs = sorted(
            int(name.removeprefix("halfway_test_accuracy_"))
            for name in table.columns
            if name.startswith("halfway_test_accuracy_")
        )
        if not isinstance(table.space, NASBench101) or not self.valid_epochs:
            raise ConfigurationError("not a table converted from an official NAS-Bench-101 file")
        self._space = NASBench101()

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether the cell, without vertices that lie on no path, is in the space."""
        return self._space.validate(prune(architecture)) is None

    def fixed_statistics(self, architecture: Architecture) -> dict[str, Any]:
        """`module_adjacency`, `module_operations` and `trainable_parameters` of the stored isomorphic cell.

        Raises:
          InvalidArchitectureError: the pruned cell is not in the space.
        """
        row = self._row(architecture)
        stored = self.table.architecture(row)
        return {
            "module_adjacency": stored.adjacency,
            "module_operations": list(stored.operations),
            "trainable_parameters": int(self.table.columns["parameters"][row]),
        }

    def computed_statistics(self, architecture: Architecture) -> dict[int, list[dict[str, float]]]:
        """Epochs -> repeats -> quantity, named as the official API names it (times in seconds).

        Raises:
          InvalidArchitectureError: the pruned cell is not in the space.
        """
        row = self._row(architecture)
        result = {}
        for epochs in self.valid_epochs:
            values = {quantity: self.table.columns[f"{quantity}_{epochs}"][row] for quantity in QUANTITIES}
            repeats = len(next(iter(values.values())))
            result[epochs] = [
                {_official_name(quantity): float(value[repeat]) for quantity, value in values.items()}
                for repeat in range(repeats)
            ]
        return result

    def query(
        self, architecture: Architecture, rng: np.random.Generator, epochs: int = 108, stop_halfway: bool = False
    ) -> dict[str, Any]:
        """One repeat, drawn at random, as the official `query` answers.

        Raises:
          InvalidArchitectureError: the pruned cell is not in the space.
          ConfigurationError: nothing was trained for so many epochs.
        """
        if epochs not in self.valid_epochs:
            raise ConfigurationError(f"no results at {epochs} epochs, expected one of {self.valid_epochs}")
        repeats = self.computed_statistics(architecture)[epochs]
        drawn = repeats[int(rng.integers(len(repeats)))]
        prefix = "halfway_" if stop_halfway else "final_"
        point = {name.removeprefix(prefix): value for name, value in drawn.items() if name.startswith(prefix)}
        return self.fixed_statistics(architecture) | point

    def _row(self, architecture: Architecture) -> int:
        try:
            pruned = prune(architecture)
            return self.table.row(pruned)
        except InvalidArchitectureError as error:
            raise InvalidArchitectureError(f"not in the benchmark: {error}") from error


def _official_name(quantity: str) -> str:
    halfway = quantity.startswith("halfway_")
    name = quantity.removeprefix("halfway_").replace("training_seconds", "training_time")
    return ("halfway_" if halfway else "final_") + name

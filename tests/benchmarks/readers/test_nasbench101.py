"""The official NAS-Bench-101 files: our reading against the official way, damage, malformed records."""

import base64
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference.nasbench101 import encode_metrics, model_metrics_class, read_rows, write_official
from tfnas.benchmarks.readers import nasbench101
from tfnas.benchmarks.readers.nasbench101 import NASBench101Data, convert
from tfnas.benchmarks.readers.nasbench101_rows import RowError, parse_rows
from tfnas.benchmarks.table import check_table, read_table
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.spaces import Architecture, NASBench101
from tfnas.spaces.nasbench101 import unique_cells

SPACE = NASBench101()
CELLS = unique_cells(largest=4)


def records(rng, cells, lengths=(4, 12, 36, 108), repeats=3):
    """Every cell at every length, in random order."""
    rows = [(row, epochs) for row in range(len(cells)) for epochs in lengths for _ in range(repeats)]
    for place in rng.permutation(len(rows)):
        row, epochs = rows[place]
        cell = SPACE.architecture(cells, row)
        yield SPACE.canonical_hash(cell), epochs, cell, 10 ** (row % 8) + row, rng.random((3, 5), np.float32).tolist()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "small.tfrecord"
    assert write_official(path, records(np.random.default_rng(0), CELLS)) == len(CELLS) * 12
    return path


@pytest.fixture(scope="module")
def data(source):
    return NASBench101Data(convert(source, source.with_suffix(".npz"), records=len(CELLS) * 12))


def test_answers_of_the_official_api(source, data):
    fixed, computed = read_rows(source)
    assert data.valid_epochs == [4, 12, 36, 108]
    assert len(data.table) == len(fixed) == len(CELLS)
    for row in range(len(CELLS)):
        cell = SPACE.architecture(CELLS, row)
        name = SPACE.canonical_hash(cell)
        ours = data.fixed_statistics(cell)
        assert data.computed_statistics(cell) == computed[name]
        np.testing.assert_array_equal(ours["module_adjacency"], fixed[name]["module_adjacency"])
        assert ours["module_operations"] == fixed[name]["module_operations"]
        assert ours["trainable_parameters"] == fixed[name]["trainable_parameters"]
    hashes = [row.tobytes().hex() for row in data.table.columns["md5"]]
    assert hashes == sorted(fixed)
    assert check_table(data.table)["rows"] == len(CELLS)


def test_query_draws_a_repeat(data, rng):
    cell = SPACE.architecture(CELLS, 20)
    repeats = data.computed_statistics(cell)[36]
    seen = {data.query(cell, rng, epochs=36)["test_accuracy"] for _ in range(40)}
    assert seen == {repeat["final_test_accuracy"] for repeat in repeats}
    halfway = data.query(cell, rng, epochs=36, stop_halfway=True)
    assert halfway["training_time"] in {repeat["halfway_training_time"] for repeat in repeats}
    assert halfway["trainable_parameters"] == data.fixed_statistics(cell)["trainable_parameters"]
    with pytest.raises(ConfigurationError, match="no results at 5 epochs"):
        data.query(cell, rng, epochs=5)


def test_cells_are_pruned_before_they_are_looked_up(data):
    names = ("input", "conv1x1-bn-relu", "maxpool3x3", "output")
    dangling = Architecture(names, np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]))
    pruned = Architecture(("input", names[1], "output"), np.eye(3, k=1))
    assert data.computed_statistics(dangling) == data.computed_statistics(pruned)
    assert data.is_valid(dangling)
    disconnected = Architecture(names, np.zeros((4, 4)))
    assert not data.is_valid(disconnected)
    with pytest.raises(InvalidArchitectureError, match="not in the benchmark"):
        data.fixed_statistics(disconnected)


def test_double_precision_is_kept(tmp_path, rng):
    path = tmp_path / "double.tfrecord"
    row = next(records(rng, CELLS[5:6], lengths=(108,), repeats=1))
    write_official(path, [(*row[:4], [[0.0] * 5, [1.0, 1 / 3, 0.1, 0.2, 0.3], [2.0, 2 / 3, 0.4, 0.5, 0.6]])])
    table = convert(path, tmp_path / "double.npz", records=1)
    assert table.columns["training_seconds_108"][0, 0] == 2 / 3
    assert table.columns["halfway_test_accuracy_108"][0, 0] == 0.3


def test_only_converted_tables_have_the_api(tmp_path, data):
    stripped = dataclasses.replace(data.table, columns={"test_accuracy_108": np.zeros(len(data.table))})
    with pytest.raises(ConfigurationError, match="not a table converted"):
        NASBench101Data(stripped)


def test_number_of_records_must_be_known(source, tmp_path):
    with pytest.raises(ConfigurationError, match="say how many records"):
        convert(source, tmp_path / "t.npz")
    with pytest.raises(CorruptArtefactError, match="no such file"):
        convert(tmp_path / "nasbench_only108.tfrecord", tmp_path / "t.npz")
    official = tmp_path / "nasbench_only108.tfrecord"
    official.write_bytes(source.read_bytes())
    with pytest.raises(CorruptArtefactError, match="expected 1270872 records"):
        convert(official, tmp_path / "t.npz")


@pytest.mark.parametrize("times", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_damage_goes_unnoticed(tmp_path, times):
    """So many flipped bits and so many truncations; the error names the record in which the damage lies."""
    rng = np.random.default_rng(0)
    path, damaged, target = tmp_path / "s.tfrecord", tmp_path / "damaged.tfrecord", tmp_path / "t.npz"
    count = write_official(path, records(rng, CELLS[:4], lengths=(4, 108)))
    content = path.read_bytes()
    lengths = [len(record) + 16 for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    starts = np.cumsum([0, *lengths[:-1]])
    for place, bit in zip(rng.integers(0, len(content), times), rng.integers(0, 8, times), strict=True):
        changed = bytearray(content)
        changed[place] ^= 1 << int(bit)
        damaged.write_bytes(changed)
        record = int(np.searchsorted(starts, place, side="right")) - 1
        with pytest.raises(
            CorruptArtefactError, match=rf"damaged\.tfrecord: record {record} at byte {starts[record]} "
        ):
            convert(damaged, target, records=count)
    for length in rng.integers(0, len(content), times):
        damaged.write_bytes(content[:length])
        with pytest.raises(
            CorruptArtefactError, match=r"damaged\.tfrecord: (record \d+ at|ends after record \S+ at) byte"
        ):
            convert(damaged, target, records=count)
    for length in starts[1:]:  # cut between two records
        damaged.write_bytes(content[:length])
        with pytest.raises(CorruptArtefactError, match="ends after record"):
            convert(damaged, target, records=count)
    assert not target.exists()


def _rewritten(tmp_path, change, count=24):
    """A file whose records were changed after they were made, with right checksums."""
    rng = np.random.default_rng(1)
    path, forged = tmp_path / "s.tfrecord", tmp_path / "forged.tfrecord"
    write_official(path, records(rng, CELLS[:4], lengths=(4, 108)))
    rows = [json.loads(row) for row in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    with tf.io.TFRecordWriter(str(forged)) as writer:
        for number, row in enumerate(rows):
            changed = change(number, row)
            writer.write(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
    return forged


def test_records_that_contradict_each_other(tmp_path):
    other = SPACE.canonical_hash(SPACE.architecture(CELLS, 30))

    def third(change):
        return lambda number, row: change(row) if number == 3 else row

    for change, message in (
        (third(lambda row: [other, *row[1:]]), "has .* records, others have another number"),
        (third(lambda row: [row[0], 112 - row[1], *row[2:]]), "lacks a repeat"),
        (third(lambda row: [*row[:2], "011000000"[:9], "input,maxpool3x3,output", row[4]]), "one hash but different"),
        (third(lambda row: b"[1, 2"), "record 3 at byte .*: not JSON"),
        (lambda number, row: [row[0][::-1], *row[1:]], "a cell with hash .* hashes to"),
    ):
        with pytest.raises(CorruptArtefactError, match=message):
            convert(_rewritten(tmp_path, change), tmp_path / "t.npz", records=24)


def test_other_ways_to_write_a_record(tmp_path, data):
    """Spaces, escapes, other orders and further fields of the protobuf: same table."""

    def change(number, row):
        if number % 3 == 0:
            return json.dumps(row, separators=(",", ":")).encode()
        if number % 3 == 1:
            return json.dumps(row, indent=2).replace("output", "\\u006futput").encode()
        message = model_metrics_class().FromString(base64.b64decode(row[4]))
        message.evaluation_data[0].checkpoint_path = "/some/where" * number
        return [*row[:4], base64.b64encode(message.SerializeToString()).decode()]

    forged = _rewritten(tmp_path, change)
    plain = convert(tmp_path / "s.tfrecord", tmp_path / "plain.npz", records=24)
    table = convert(forged, tmp_path / "forged.npz", records=24)
    for name, column in plain.columns.items():
        np.testing.assert_array_equal(table.columns[name], column, err_msg=name)


VALID = json.dumps(
    [
        SPACE.canonical_hash(SPACE.architecture(CELLS, 9)),
        108,
        "".join(map(str, SPACE.architecture(CELLS, 9).adjacency.ravel())),
        ",".join(SPACE.architecture(CELLS, 9).operations),
        base64.b64encode(encode_metrics(1234, np.full((3, 5), 0.5).tolist())).decode(),
    ]
).encode()


@st.composite
def malformed(draw):
    """A valid record with some bytes replaced, removed or inserted, or one of its five values replaced by anything."""
    if draw(st.booleans()):
        row = bytearray(VALID)
        for _ in range(draw(st.integers(1, 4))):
            place = draw(st.integers(0, max(0, len(row) - 1)))
            kind = draw(st.sampled_from(("replace", "remove", "insert", "cut")))
            if kind == "replace" and row:
                row[place] = draw(st.integers(0, 255))
            elif kind == "insert":
                row[place:place] = draw(st.binary(min_size=1, max_size=8))
            elif kind == "remove":
                del row[place : place + draw(st.integers(1, 20))]
            else:
                del row[place:]
        return bytes(row)
    values = json.loads(VALID)
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
        lambda inner: st.lists(inner, max_size=3),
    )
    message = base64.b64decode(values[4])
    mutated = bytearray(message)
    for _ in range(draw(st.integers(1, 5))):
        mutated[draw(st.integers(0, len(mutated) - 1))] = draw(st.integers(0, 255))
    values[draw(st.integers(0, 4))] = draw(
        anything
        | st.binary(max_size=90).map(lambda raw: base64.b64encode(raw).decode())
        | st.just(base64.b64encode(mutated).decode())
        | st.text("01", max_size=49)
        | st.lists(st.sampled_from(SPACE.operations), max_size=9).map(",".join)
    )
    return json.dumps(values).encode()


def _only_our_errors(row):
    """Among good records: the error names the right one, or the record is read."""
    rows = [VALID, row, VALID]
    try:
        metrics, error = parse_rows(rows).metrics, None
    except RowError as raised:
        metrics, error = np.zeros((3, 8)), raised
    assert error is None or (error.row == 1 and str(error))
    assert metrics.shape == (3, 8)
    assert np.isfinite(metrics).all()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(malformed())
def test_malformed_records(row):
    _only_our_errors(row)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(malformed())
def test_ten_thousand_malformed_records(row):
    _only_our_errors(row)


def test_the_official_numbers_of_records():
    assert nasbench101.OFFICIAL_RECORDS == {
        "nasbench_only108.tfrecord": 1_270_872,
        "nasbench_full.tfrecord": 5_083_488,
    }


def test_converted_table_opens(data, source):
    assert len(read_table(source.with_suffix(".npz"))) == len(data.table)

"""Compact tables: round trips, damage, checks, published layouts, look-ups."""

import dataclasses
import json
import pathlib
import pickle
import re

import numpy as np
import pytest

from tfnas import artefacts
from tfnas.benchmarks import BENCHMARKS
from tfnas.benchmarks.table import (
    CompactTable,
    _with_checksum,
    check_table,
    pack_edges,
    read_table,
    unpack_edges,
    write_table,
)
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, TfnasError
from tfnas.settings import fields
from tfnas.spaces import Architecture, Darts, FiniteSpace, NASBench201

SPACE = NASBench201()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    target = tmp_path_factory.mktemp("table") / "table.npz"
    columns = {
        "validation_accuracy_12": np.array([[0.5, 0.7, np.nan], [np.nan] * 3, *rng.random((198, 3))], np.float32),
        "test_accuracy_curve_4": rng.random((200, 4)).astype(np.float32),
        "training_seconds": rng.random(200) * 100,
        "md5": rng.integers(0, 255, (200, 16), np.uint8),
    }
    write_table(target, SPACE, SPACE.enumerate()[:200], columns, source="a test")
    return target


def test_round_trip(path, space, rng, tmp_path):
    cells = space.sample(50, rng)
    column = rng.random(50)
    write_table(tmp_path / "a.npz", space, cells, {"test_accuracy": column}, source="x", more=[1, 2])
    write_table(tmp_path / "b.npz", space, cells, {"test_accuracy": column}, source="x", more=[1, 2])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    table = read_table(tmp_path / "a.npz", space)
    np.testing.assert_array_equal(table.cells.operations, cells.operations)
    np.testing.assert_array_equal(table.cells.adjacency, cells.adjacency)
    np.testing.assert_array_equal(table.columns["test_accuracy"], column)
    assert (table.facts["source"], table.facts["more"]) == ("x", [1, 2])
    assert check_table(table)["rows"] == 50
    assert table.rows(cells).tolist() == list(range(50))


@pytest.mark.parametrize("width", [2, 3, 7, 22])
def test_packed_edges(width, rng):
    adjacency = np.triu(rng.integers(0, 2, (9, width, width), np.uint8), 1)
    np.testing.assert_array_equal(unpack_edges(pack_edges(adjacency), width), adjacency)


def test_values(path):
    table = read_table(path)
    values = table.values("validation_accuracy_12")
    assert values[0] == pytest.approx(0.6)
    assert np.isnan(values[1])
    np.testing.assert_allclose(values[2:], table.columns["validation_accuracy_12"][2:].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(table.values("test_accuracy_curve_4"), table.columns["test_accuracy_curve_4"][:, -1])
    with pytest.raises(ConfigurationError, match="expected one of md5, test_accuracy_curve_4"):
        table.values("accuracy")


def test_no_damage_goes_unnoticed(path):
    """A thousand flipped bits and a thousand truncations, anywhere in the file."""
    rng = np.random.default_rng(0)
    content = path.read_bytes()
    damaged = path.with_name("damaged.npz")
    for place, bit in zip(rng.integers(0, len(content), 1000), rng.integers(0, 8, 1000), strict=True):
        changed = bytearray(content)
        changed[place] ^= 1 << int(bit)
        damaged.write_bytes(changed)
        with pytest.raises(CorruptArtefactError, match=r"damaged\.npz.*byte"):
            read_table(damaged)
    for length in rng.integers(0, len(content), 1000):
        damaged.write_bytes(content[:length])
        with pytest.raises(CorruptArtefactError, match=r"damaged\.npz.*byte"):
            read_table(damaged)


def _forged(path, **changes):
    """A file with other arrays and a right checksum."""
    arrays = {**artefacts.read_npz(path), **changes}
    forged = path.with_name("forged.npz")
    kept = {name: array for name, array in arrays.items() if array is not None}
    forged.write_bytes(_with_checksum(artefacts.npz_bytes(**kept)))
    return forged


def test_files_that_are_no_tables(path, tmp_path):
    header = json.loads(str(artefacts.read_npz(path)["header"]))

    def with_header(**changes):
        return {"header": np.array(json.dumps({**header, **changes}))}

    for changes, message in (
        ({"header": np.array("no")}, "header is not a JSON object"),
        (with_header(version=2), "expected .'tfnas-table', 1"),
        (with_header(space="mars"), "unknown space 'mars'"),
        ({"edges": None}, "not a table of nasbench201: 'edges'"),
        ({"operations": np.zeros((3, 8), np.uint8)}, "not a table of nasbench201"),
        ({"hashes": np.zeros(3, np.uint64)}, "not a table of nasbench201"),
        ({"header": None}, "no header, and arrays .* of no known layout"),
    ):
        with pytest.raises(TfnasError, match=message):
            read_table(_forged(path, **changes))
    with pytest.raises(CorruptArtefactError, match="no such file"):
        read_table(tmp_path / "none.npz")
    with pytest.raises(ConfigurationError, match="a table of nasbench201, expected darts"):
        read_table(path, Darts())
    np.savez(tmp_path / "objects.npz", header=np.array([{}], object))
    with pytest.raises(CorruptArtefactError, match="header"):
        read_table(tmp_path / "objects.npz")


def test_checks(path):
    arrays = artefacts.read_npz(path)
    operations = arrays["operations"].copy()
    operations[7, 3] = 6
    accuracy = arrays["validation_accuracy_12"].copy()
    accuracy[9, 1] = 1.2
    hashes = arrays["hashes"].copy()
    hashes[4] += 1
    twice = {name: np.concatenate([array, array[3:4]]) for name, array in arrays.items() if array.ndim}
    for changes, message in (
        ({"operations": operations}, "row 7: not a nasbench201 architecture: vertex 3"),
        ({"validation_accuracy_12": accuracy}, r"row 9: validation_accuracy_12 is .*1.2.* expected 0 to 1"),
        ({"training_seconds": -arrays["training_seconds"]}, "row 0: training_seconds is -"),
        ({"hashes": hashes}, "row 4: another hash"),
        (twice, "rows 3 and 200 are the same architecture"),
    ):
        with pytest.raises(CorruptArtefactError, match=message):
            check_table(read_table(_forged(path, **changes)))


def test_bad_columns(path):
    cells = SPACE.enumerate()[:4]
    for column in (np.zeros(3), np.zeros(4, object), np.zeros((3, 4))):
        with pytest.raises(ConfigurationError, match="'accuracy'"):
            CompactTable(SPACE, cells, {"accuracy": column}, SPACE.canonical_hashes(cells))
    wrong = Darts().sample(2, np.random.default_rng(0))
    with pytest.raises(InvalidArchitectureError):
        write_table(path.with_name("x.npz"), Darts(), wrong[:0].concatenate([wrong, _broken(wrong)]), {})


def _broken(cells):
    adjacency = cells.adjacency.copy()
    adjacency[:, 0, 10] = 1
    return type(cells)(cells.operations, adjacency)


def test_look_up_of_isomorphic_and_absent_cells(small_nasbench101, tmp_path):
    cells = small_nasbench101.enumerate()[:2000]
    write_table(tmp_path / "t.npz", small_nasbench101, cells, {"test_accuracy": np.arange(2000) / 2000})
    table = read_table(tmp_path / "t.npz", small_nasbench101)
    names = ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "output")
    adjacency = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    first = table.row(Architecture(names, adjacency))
    assert first == table.row(Architecture((names[0], names[2], names[1], names[3]), adjacency))
    absent = small_nasbench101.architecture(small_nasbench101.enumerate(), 2300)
    with pytest.raises(InvalidArchitectureError, match="the table has no row"):
        table.row(absent)
    with pytest.raises(InvalidArchitectureError, match="expected"):
        table.row(Architecture(("input", "tea", "output"), np.eye(3, k=1)))


def test_evaluator(path):
    table = read_table(path)
    evaluator = TableEvaluator(table, "validation_accuracy_12", "test_accuracy_curve_4", "training_seconds", 0.5)
    first, second = evaluator.query([table.architecture(0), table.architecture(1)])
    assert first.validation == pytest.approx(0.6)
    assert first.test == pytest.approx(float(table.columns["test_accuracy_curve_4"][0, -1]))
    assert first.cost_seconds == pytest.approx(table.columns["training_seconds"][0] / 2)
    assert first.failure == ""
    assert (second.validation, second.test, second.failure) == (0.0, 0.0, "the table has no value")
    many = evaluator.query_cells(table.cells)
    scores = evaluator.query([table.architecture(row) for row in range(200)])
    for name in ("validation", "test", "cost_seconds"):
        np.testing.assert_array_equal(getattr(many, name), [getattr(score, name) for score in scores])
    np.testing.assert_array_equal(many.failed, [bool(score.failure) for score in scores])
    with pytest.raises(InvalidArchitectureError, match="no row for"):
        evaluator.query_cells(SPACE.enumerate()[150:300])


def test_a_search_sees_one_training_and_reports_show_their_mean(path):
    table = read_table(path)
    columns = "validation_accuracy_12", "test_accuracy_curve_4"
    evaluators = {repeat: TableEvaluator(table, *columns, repeat=repeat) for repeat in ("random", "mean", "0", "2")}
    trainings = table.columns["validation_accuracy_12"].astype(np.float64)
    np.testing.assert_array_equal(evaluators["mean"].scores.validation[2:], trainings[2:].mean(axis=1))
    np.testing.assert_array_equal(evaluators["0"].scores.validation[2:], trainings[2:, 0])
    assert evaluators["2"].scores.failure[:3].tolist() == ["the table has no value", "the table has no value", ""]
    for evaluator in evaluators.values():
        np.testing.assert_array_equal(evaluator.scores.mean_validation[2:], trainings[2:].mean(axis=1))
    random = evaluators["random"]
    seeds = np.repeat(np.arange(300), 200)
    cells = table.cells[np.tile(np.arange(200), 300)]
    seen = random.query_cells(cells, seeds).validation.reshape(300, 200)
    np.testing.assert_array_equal(random.query_cells(cells, seeds).validation.reshape(300, 200), seen)
    np.testing.assert_array_equal(random.query_cells(table.cells).validation, seen[0])
    assert [score.validation for score in random.query([table.architecture(row) for row in range(9)])] == list(
        seen[0, :9]
    )
    # Every training of a row is seen about equally often, by runs and by rows; a training that is missing never.
    assert set(seen[:, 0]) == {trainings[0, 0], trainings[0, 1]}
    assert not seen[:, 1].any()
    chosen = (seen[:, 2:, None] == trainings[None, 2:]).argmax(axis=2)
    np.testing.assert_array_equal(np.take_along_axis(trainings[2:], chosen.T, axis=1).T, seen[:, 2:])
    assert abs(np.bincount(chosen.ravel()) / chosen.size - 1 / 3).max() < 0.01
    assert abs(np.bincount(chosen[7]) / 198 - 1 / 3).max() < 0.1
    # Runs and rows are independent: two runs agree in a third of the rows, also runs whose seeds follow each other.
    assert abs((chosen[1:] == chosen[:-1]).mean() - 1 / 3) < 0.01
    assert abs((chosen[:, 1:] == chosen[:, :-1]).mean() - 1 / 3) < 0.01


def test_a_table_of_one_training_has_no_repeats_to_choose_from(path):
    table = read_table(path)
    columns = ["test_accuracy_curve_4"] * 2
    last = table.columns["test_accuracy_curve_4"][:, -1]
    for repeat in ("random", "mean", "0"):
        scores = TableEvaluator(table, *columns, repeat=repeat).query_cells(table.cells, np.arange(200))
        np.testing.assert_array_equal(scores.validation, last)
        np.testing.assert_array_equal(scores.mean_validation, last)
    with pytest.raises(ConfigurationError, match="--repeat=1, but 'test_accuracy_curve_4' holds 1 trainings, numbered"):
        TableEvaluator(table, *columns, repeat="1")
    for repeat in ("-1", "all", "0.5", ""):
        with pytest.raises(ConfigurationError, match=f"--repeat={repeat}, expected random, mean or the number of a"):
            BENCHMARKS["digits201"].evaluator(repeat=repeat)


def test_a_missing_time_is_not_taken_for_no_time(path):
    table = read_table(path)
    seconds = table.columns["training_seconds"].copy()
    seconds[1] = np.nan  # there is no accuracy either
    columns = {**table.columns, "training_seconds": seconds}
    names = ("validation_accuracy_12", "test_accuracy_curve_4", "training_seconds")
    evaluator = TableEvaluator(dataclasses.replace(table, columns=columns), *names)
    assert evaluator.scores.cost_seconds[1] == 0
    seconds[7] = np.nan
    with pytest.raises(ConfigurationError, match="row 7 has an accuracy but no time in 'training_seconds'"):
        TableEvaluator(dataclasses.replace(table, columns=columns), *names)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("seconds", "column 'seconds' holds seconds, expected accuracies in"),
        ("parameters_millions", "column 'parameters_millions' holds parameters, expected accuracies in"),
        ("percent", r"column 'percent' holds values from 10 to 86.09, expected accuracies in \[0, 1\]; divide percent"),
        ("rank", r"column 'rank' holds values from 0 to 199, expected accuracies in \[0, 1\]$"),
        ("loss", r"column 'loss' holds values from -0.5 to 0.5, expected accuracies in \[0, 1\]$"),
        ("empty", "column 'empty' has no value in any row"),
        ("rest", "no row has a value in both '(rest|half)' and '(rest|half)'"),
    ],
)
def test_columns_that_are_no_accuracies(path, column, message):
    table = read_table(path)
    values = np.linspace(0, 0.9, 200)
    wrong = {
        "seconds": values,
        "parameters_millions": values,
        "percent": np.linspace(10, 86.09, 200),
        "rank": np.arange(200),
        "loss": np.linspace(-0.5, 0.5, 200),
        "empty": np.full((200, 3), np.nan),
        "rest": np.where(values < 0.45, values, np.nan),
        "half": np.where(values < 0.45, np.nan, values),
    }
    table = dataclasses.replace(table, columns=wrong)
    for names in ((column, "half"), ("half", column)):
        with pytest.raises(ConfigurationError, match=message):
            TableEvaluator(table, *names)


@pytest.fixture
def data_set(tmp_path, monkeypatch):
    """A table in the place of NAS-Bench-201's: two cells, two data sets, trainings of 200 and 12 epochs."""
    columns = {
        "cifar10_validation_accuracy_200": [[0.9, 0.8, 0.7], [0.7, np.nan, np.nan]],
        "cifar10_test_accuracy_200": [0.85, 0.6],
        "cifar10_training_seconds_200": [2169.6, 1000.0],
        "cifar10_validation_accuracy_12": [0.5, 0.4],
        "cifar100_validation_accuracy_12": [0.2, 0.1],
        "cifar100_training_seconds_12": [7.0, 8.0],
        "cifar100_training_seconds_200": [300.0, 400.0],
    }
    arrays = {name: np.array(values) for name, values in columns.items()}
    write_table(tmp_path / "nasbench201.npz", SPACE, SPACE.enumerate()[:2], arrays)
    monkeypatch.setenv("TFNAS_DATA_DIR", str(tmp_path))
    return BENCHMARKS["nasbench201_cifar10"].evaluator


@pytest.mark.parametrize(
    ("column", "seconds"),
    [
        (None, [2169.6, 1000.0]),
        ("cifar10_validation_accuracy_12", [130.176, 60.0]),
        ("cifar100_validation_accuracy_12", [7.0, 8.0]),
    ],
)
def test_a_query_costs_the_time_of_the_training_that_it_shows(data_set, column, seconds):
    np.testing.assert_allclose(data_set(validation_column=column).scores.cost_seconds, seconds)


def test_a_search_by_test_accuracies_is_warned_of(data_set, caplog):
    data_set(validation_column="cifar10_validation_accuracy_12")
    assert not caplog.messages
    data_set(validation_column="cifar10_test_accuracy_200")
    (warning,) = caplog.messages
    assert warning.startswith("--validation_column=cifar10_test_accuracy_200 holds test accuracies")


def test_own_space_needs_the_space(tmp_path):
    cells = [Architecture(("in", name, "out"), np.eye(3, k=1)) for name in ("a", "b", "c")]
    space = FiniteSpace("own", cells)
    write_table(tmp_path / "own.npz", space, space.enumerate(), {"test_accuracy": np.array([0.1, 0.2, 0.3])})
    with pytest.raises(ConfigurationError, match="unknown space 'own'"):
        read_table(tmp_path / "own.npz")
    evaluator = TableEvaluator(read_table(tmp_path / "own.npz", space), "test_accuracy", "test_accuracy")
    assert [score.test for score in evaluator.query(cells)] == [0.1, 0.2, 0.3]


def test_named_benchmarks(monkeypatch, tmp_path):
    monkeypatch.delenv("TFNAS_DATA_DIR", raising=False)
    for name, settings, message in (
        ("nasbench101", {}, "set TFNAS_DATA_DIR"),
        ("table", {}, "table needs a value of table, validation_column, test_column"),
        ("trained", {}, "trained needs a value of data"),
        ("digits", {"data": "x"}, "data=x is no setting of digits; it belongs to trained, darts"),
        ("digits", {"table": "x"}, "table=x is no setting of digits; it belongs to table, digits201"),
        ("digits201", {"magic": 1}, "magic=1 is no setting of digits201$"),
        ("trained", {"data": "x", "channels": 0}, "channels=0, expected at least 1"),
        ("darts", {"data": "x", "layers": 2}, "layers=2, expected at least 3"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            BENCHMARKS[name].evaluator(**settings)
    monkeypatch.setenv("TFNAS_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"nasbench101\.npz: no such file"):
        BENCHMARKS["nasbench101"].evaluator()


def test_documents_list_every_benchmark():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "how_to" / "benchmarks.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    settings = {name: ", ".join(f"`{field}`" for field in fields(row.config)) for name, row in BENCHMARKS.items()}
    expected = [(name, row.summary, settings[name]) for name, row in BENCHMARKS.items()]
    assert [row for row in rows if row[0] in BENCHMARKS] == expected


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_picklable(name):
    """Workers in other processes make the evaluator again."""
    assert pickle.loads(pickle.dumps(BENCHMARKS[name].evaluator)).__self__.name == name


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "best_test"),
    [
        ("nasbench101", 423_624, 0.94661),
        ("nasbench201_cifar10", 15_625, 0.9441),
        ("nasbench201_cifar100", 15_625, 0.7366),
        ("nasbench201_imagenet16_120", 15_625, 0.4733),
        ("nats_size", 32_768, None),
        ("nasbench301", 325, None),
    ],
)
def test_best_cells_of_the_measured_tables(data_dir, name, rows, best_test):
    evaluator = BENCHMARKS[name].evaluator()
    table = evaluator.table
    assert check_table(table)["rows"] == rows
    best = int(evaluator.scores.test.argmax())
    (score,) = evaluator.query([table.architecture(best)])
    if best_test is not None:
        assert score.test == pytest.approx(best_test, abs=5e-5)
    assert 0 <= evaluator.scores.validation.min() <= evaluator.scores.validation.max() <= 1
    assert table.row(table.architecture(rows // 2)) == rows // 2


@pytest.mark.data
def test_published_best_validation_means(data_dir):
    """Best mean validation accuracies of NAS-Bench-201, from the data's README."""
    for data_set, best in (("cifar10", 0.91607), ("cifar100", 0.73493), ("imagenet16_120", 0.46733)):
        evaluator = BENCHMARKS[f"nasbench201_{data_set}"].evaluator()
        assert evaluator.scores.mean_validation.max() == pytest.approx(best, abs=5e-6)


def test_a_table_of_version_1_stays_readable():
    """A file written once and kept; another writer or reader must not change what it means."""
    table = read_table(pathlib.Path(__file__).parents[1] / "golden" / "table_v1.npz")
    assert [table.space.index(table.architecture(row)) for row in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(table.values("cifar10_test_accuracy_200"), [0.375, 0.75, 0.5])
    np.testing.assert_array_equal(table.values("training_seconds"), [1.0, 2.0, 3.0])
    assert table.facts["source"] == "golden"
    assert check_table(table)["rows"] == 3


@pytest.mark.parametrize(
    ("arrays", "values"),
    [
        # -1 stands for a network that could not be compiled.
        (
            {"cifar10_edgegpu_latency": [3.5, 4.0], "cifar10_edgetpu_latency": [-1.0, 0.7]},
            {"cifar10_edgegpu_latency": [3.5, 4.0], "cifar10_edgetpu_latency": [np.nan, 0.7]},
        ),
        ({"pgd_linf_1p0": [50.0, 10.0]}, {"pgd_linf_1p0": [0.5, 0.1]}),
        ({"synflow": [80.0, np.nan]}, {"synflow": [80.0, np.nan]}),
    ],
)
def test_published_costs(tmp_path, arrays, values):
    cells = SPACE.enumerate()[:2]
    names = [SPACE.to_string(SPACE.architecture(cells, row)) for row in range(2)]
    np.savez(tmp_path / "costs.npz", arch=names, **{name: np.float32(column) for name, column in arrays.items()})
    table = read_table(tmp_path / "costs.npz")
    assert table.rows(cells).tolist() == [0, 1]
    for name, column in values.items():
        np.testing.assert_allclose(table.values(name), column, rtol=1e-6)

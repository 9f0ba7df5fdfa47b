"""The paper's experiments on small made-up tables: what is measured, at what budget, and what is written."""

import json

import numpy as np
import pytest

from tfnas.benchmarks.table import CompactTable
from tfnas.errors import ConfigurationError
from tfnas.reproduction import arch2vec, arch2vec_figure2, arch2vec_table3
from tfnas.reproduction.arch2vec_table3 import DATA_SETS, evaluator_of
from tfnas.spaces import NASBench201

SPACE = NASBench201()


class CountingEncoder:
    """Embeds a cell by how often each operation occurs, with a little noise."""

    def embed(self, cells, progress=False):
        counts = cells.one_hot(int(cells.operations[cells.operations < 255].max()) + 1).sum(axis=1)
        noise = np.random.default_rng(0).normal(0, 0.05, (len(cells), 4))
        return np.concatenate([counts, noise], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def table():
    """NAS-Bench-201 with accuracies that grow with the number of convolutions."""
    cells = SPACE.enumerate()
    rng = np.random.default_rng(0)
    merit = (cells.operations == 2).sum(axis=1) + 0.5 * (cells.operations == 1).sum(axis=1)
    columns = {}
    for data_set in DATA_SETS:
        accuracy = 0.5 + 0.05 * merit[:, None] + rng.normal(0, 0.01, (len(cells), 3))
        accuracy[::2, 2] = np.nan
        columns[f"{data_set.name}_validation_accuracy_200"] = accuracy
        columns[f"{data_set.name}_validation_accuracy_12"] = accuracy[:, 0] - 0.1
        columns[f"{data_set.name}_test_accuracy_200"] = 0.5 + 0.05 * merit
        columns[f"{data_set.name}_training_seconds_200"] = rng.uniform(0.8, 1.2, len(cells)) * (
            data_set.budget_seconds / 30 * 200 / data_set.epochs
        )
    return CompactTable(SPACE, cells, columns, SPACE.canonical_hashes(cells))


def test_a_query_sees_one_training_and_pays_for_it(table):
    short, long = evaluator_of(table, DATA_SETS[0]), evaluator_of(table, DATA_SETS[1])
    np.testing.assert_array_equal(short.scores.validation, table.columns["cifar10_validation_accuracy_12"])
    np.testing.assert_allclose(short.scores.cost_seconds, table.columns["cifar10_training_seconds_200"] * 12 / 200)
    np.testing.assert_array_equal(long.scores.validation, table.columns["cifar100_validation_accuracy_200"][:, 0])
    np.testing.assert_array_equal(long.scores.cost_seconds, table.columns["cifar100_training_seconds_200"])


def test_table_3(table, tmp_path):
    values = arch2vec_table3.run(table, CountingEncoder(), tmp_path, runs=4)
    assert values == json.loads((tmp_path / "table3.json").read_text())
    for data_set in DATA_SETS:
        part = values[data_set.name]
        for name, row in part.items():
            if name != "p_local_over_bo":
                assert 24 <= row["queries_mean"] <= 38  # a query takes a thirtieth of the budget
                assert 0.5 < row["test_mean"] <= 0.8
        assert part["arch2vec-BO, best seen as incumbent"]["test_mean"] > part["random search"]["test_mean"]
        assert (tmp_path / f"table3_{data_set.name}.png").stat().st_size > 0
    text = (tmp_path / "table3.md").read_text()
    assert "| arch2vec-BO " in text
    assert "91.41 / 94.18" in text
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.npz")}
    assert len(files) == 3 * 8
    again = arch2vec_table3.run(table, CountingEncoder(), tmp_path, runs=4)
    assert again == values
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.npz")}


def test_figure_2(small_nasbench101, tmp_path):
    cells = small_nasbench101.enumerate()
    accuracy = 0.82 + 0.02 * (cells.operations == 2).sum(axis=1)
    accuracy[::8] = 0.1  # failed trainings
    table = CompactTable(
        small_nasbench101, cells, {"test_accuracy_108": accuracy}, small_nasbench101.canonical_hashes(cells)
    )
    values = arch2vec_figure2.run(table, CountingEncoder(), tmp_path, seeds=2, samples=60)
    assert len(values["any"]["rmse"]) == 2
    assert max(values["above 80 %"]["rmse"]) < 0.005
    assert min(values["above 80 %"]["pearson"]) > 0.95
    assert min(values["any"]["rmse"]) > max(values["above 80 %"]["rmse"])
    assert "0.018 ± 0.001" in (tmp_path / "figure2.md").read_text()
    assert (tmp_path / "figure2.png").stat().st_size > 0


def test_names():
    assert arch2vec.check_experiments(["all"]) == list(arch2vec.EXPERIMENTS)
    assert arch2vec.check_experiments(["figure2"]) == ["figure2"]
    with pytest.raises(ConfigurationError, match="unknown experiment 'table9'"):
        arch2vec.check_experiments(["table9"])


@pytest.mark.data
def test_the_first_repeat_is_always_there(data_dir):
    """The search label of CIFAR-100 and ImageNet16-120 is the first repeat."""
    table = arch2vec.load_table("nasbench201")
    for data_set in DATA_SETS:
        assert np.isfinite(evaluator_of(table, data_set).scores.validation).all()
        assert not evaluator_of(table, data_set).scores.failed.any()

"""Searches as Optuna studies and for TensorBoard's HParams: every query once, and its architecture."""

import dataclasses
import types

import numpy as np
import optuna
import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from tests import fork
from tfnas import artefacts
from tfnas.benchmarks import Scores
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.search import exports
from tfnas.search.experiment import Comparison
from tfnas.search.loop import History
from tfnas.spaces import Architecture, MobileNetV3, NASBench201


def comparison_of(candidates, queries=4, name="random"):
    """Two runs of a strategy over the first rows; query 3 of the first run failed."""
    rows = np.arange(2 * 6).reshape(2, 6)[:, :queries]
    validation = 0.5 + rows / 100
    failure = np.where((rows == 2), "out of memory", "")
    scores = Scores(np.where(failure != "", 0.0, validation), validation - 0.1, rows + 1.0, failure)
    return Comparison(candidates, {name: History(rows, scores)}, 7, "toy")


def sample_of(space, count=12):
    cells = space.sample(count, seed=3)
    return types.SimpleNamespace(space=space, cells=cells, architecture=lambda row: space.architecture(cells, row))


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


def test_trials_are_the_queries(storage):
    space = NASBench201()
    comparison = comparison_of(sample_of(space))
    study = exports.to_optuna(comparison, storage, "mine")
    assert len(study.trials) == 8
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 5]
    assert study.best_value == comparison.best.validation == 0.5 + 9 / 100
    for number, trial in enumerate(study.trials):
        run, query = divmod(number, 4)
        row = comparison.histories["random"].rows[run, query]
        operations = [trial.params[f"operation_{vertex}"] for vertex in range(1, 7)]
        cell = comparison.candidates.architecture(row)
        assert ("input", *operations, "output") == cell.operations
        assert len(trial.params) == 6
        assert space.read(trial.user_attrs["architecture"]) == cell
        facts = {key: trial.user_attrs[key] for key in ("strategy", "seed", "query", "cost_seconds", "test")}
        assert facts == {
            "strategy": "random",
            "seed": 7 + run,
            "query": query + 1,
            "cost_seconds": row + 1,
            "test": pytest.approx(0.4 + row / 100),
        }
        assert trial.user_attrs["failure"] == ("out of memory" if row == 2 else "")
    choices = study.trials[0].distributions["operation_1"].choices
    assert choices == ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none")


def test_queries_are_added_once(storage):
    candidates = sample_of(NASBench201())
    exports.to_optuna(comparison_of(candidates), storage, "mine")
    assert len(exports.to_optuna(comparison_of(candidates), storage, "mine").trials) == 8
    # A search that went on, and another strategy.
    assert len(exports.to_optuna(comparison_of(candidates, queries=6), storage, "mine").trials) == 12
    assert len(exports.to_optuna(comparison_of(candidates, name="bo"), storage, "mine").trials) == 20
    assert optuna.get_all_study_names(storage) == ["mine"]


def test_a_study_of_another_search_is_not_mixed_with_this_search(storage):
    comparison = comparison_of(sample_of(NASBench201()))
    exports.to_optuna(comparison, storage, "mine")
    history = comparison.histories["random"]
    other = dataclasses.replace(comparison, histories={"random": dataclasses.replace(history, rows=history.rows + 1)})
    with pytest.raises(MismatchError, match="holds another search: query 1 of random with the seed 7 is"):
        exports.to_optuna(other, storage, "mine")
    optuna.create_study(storage=storage, study_name="losses", direction="minimize")
    with pytest.raises(MismatchError, match=r"'losses' of .*: expected one objective that is maximised"):
        exports.to_optuna(comparison, storage, "losses")


@pytest.mark.parametrize("url", ["sqlite:////nothing/study.db", "nothing", "oracle+nothing://x"])
def test_a_storage_that_can_not_be_opened(url):
    with pytest.raises(ConfigurationError, match=r"^Optuna can't open the storage .*: .") as caught:
        exports.open_study(url, "mine")
    assert "\n" not in str(caught.value)


def test_parameters_tell_cells_of_any_size_apart(small_nasbench101):
    """Cells of nasbench101 differ in vertices and edges; the matrix is put together from the parameters."""
    cells = small_nasbench101.sample(30, seed=0)
    parameters = exports.Parameters(small_nasbench101)
    assert parameters.choices["operation_2"][-1] == "absent"
    # Vertex 1 reads the input in every cell.
    assert set(parameters.choices) == {
        *(f"operation_{vertex}" for vertex in range(1, 5)),
        *(f"edge_{source}_{target}" for target in range(2, 5) for source in range(target)),
    }
    for row, values in enumerate(parameters.values(cells)):
        cell = small_nasbench101.architecture(cells, row)
        inner = [values[f"operation_{vertex}"] for vertex in range(1, 5)]
        names = ("input", *(name for name in inner if name != "absent"))
        adjacency = np.zeros((len(names), len(names)), int)
        adjacency[0, 1] = 1
        for name, value in values.items():
            if name.startswith("edge") and value:
                adjacency[tuple(map(int, name.split("_")[1:]))] = 1
        assert Architecture(names, adjacency) == cell


def test_parameters_of_a_space_that_can_not_be_listed():
    space = MobileNetV3()
    parameters = exports.Parameters(space)
    assert parameters.choices == dict.fromkeys(
        [f"operation_{vertex}" for vertex in range(1, 21)], space.operations[1:-1]
    )


def test_tensorboard_reads_every_query(tmp_path):
    comparison = comparison_of(sample_of(NASBench201()))
    for name in ("first", "second", "second"):
        exports.to_hparams(comparison, tmp_path / name)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*tfevents*")}
        for name in ("first", "second")
    )
    assert first == second
    assert len(first) == 9

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path / "first"))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path / "first"))
    context = backend_context.Context(types.SimpleNamespace(data_provider=provider))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    )
    experiment_id, ctx = "", RequestContext()
    metadata = context.hparams_metadata(ctx, experiment_id)
    experiment = context.experiment_from_metadata(ctx, experiment_id, True, metadata, [])
    assert {info.name for info in experiment.hparam_infos} == {
        "strategy",
        "seed",
        *(f"operation_{vertex}" for vertex in range(1, 7)),
    }
    response = list_session_groups.Handler(ctx, context, experiment_id, request).run()
    groups = {group.name: group for group in response.session_groups}
    assert len(groups) == 8
    for run in range(2):
        for query in range(4):
            row = 6 * run + query
            group = groups[f"random/seed_{7 + run}/query_{query + 1:04d}"]
            values = {metric.name.tag: metric.value for metric in group.metric_values}
            assert values["validation"] == pytest.approx(0 if row == 2 else 0.5 + row / 100)
            assert values["cost_seconds"] == row + 1
            names = [group.hparams[f"operation_{vertex}"].string_value for vertex in range(1, 7)]
            assert comparison.candidates.architecture(row).operations[1:-1] == tuple(names)
            (session,) = group.sessions
            assert session.status == (api_pb2.STATUS_FAILURE if row == 2 else api_pb2.STATUS_SUCCESS)


def test_the_binary_exports(storage, tmp_path):
    arguments = [
        "--benchmark=digits201",
        "--strategy=random",
        "--queries=3",
        f"--optuna={storage}",
        "--optuna_study=digits",
        "--hparams",
        f"--output_dir={tmp_path / 'out'}",
    ]
    for more in ([], ["--resume"]):
        done = fork.run("search", *arguments, *more)
        assert done.returncode == 0, done.stderr[-2000:]
    study = optuna.load_study(storage=storage, study_name="digits")
    history = artefacts.read_npz(tmp_path / "out" / "strategies" / "random" / "history.npz")
    assert [trial.value for trial in study.trials] == history["validation"][0].tolist()
    assert len(list((tmp_path / "out" / "hparams").rglob("*tfevents*"))) == 4
    wrong = fork.run("search", *arguments[:3], "--optuna=nothing", f"--output_dir={tmp_path / 'new'}")
    assert "error: Optuna can't open the storage nothing" in wrong.stderr
    assert not (tmp_path / "new").exists()

"""Searches with several objectives: what objectives and limits mean, strategies, resumption, tables and figures."""

import dataclasses
import json
import re

import numpy as np
import pytest
from tqdm import tqdm

import tfnas
from tests.fork import ROOT
from tests.search.test_loop import Counting
from tests.search.test_strategies import SPACE
from tfnas import artefacts
from tfnas.benchmarks import BENCHMARKS
from tfnas.errors import ConfigurationError
from tfnas.networks import symbolic
from tfnas.search import STRATEGIES, Candidates, OpenCandidates, loop, pareto
from tfnas.search.goals import GOAL_STRATEGIES, default_strategy, strategies_for
from tfnas.search.hypervolume_search import expected_hypervolume_improvement
from tfnas.search.objectives import Goals, Limit, Objective, read_goals, read_objective
from tfnas.search.scalarised import chebyshev
from tfnas.spaces import MobileNetV3


def poolings(architecture):
    """A cost that a user's function measures."""
    if architecture.operations.count("none") > 3:
        raise RuntimeError("does not fit")
    return float(architecture.operations.count("avg_pool_3x3"))


def convolutions(cells):
    return (cells.operations == SPACE.operations.index("nor_conv_3x3")).sum(axis=1).astype(float)


def goals(known=True, *limits):
    cost = Objective("convolutions", False, known, convolutions)
    return Goals((Objective("accuracy", True, False, None), cost), tuple(Limit(cost, bound) for bound in limits))


@pytest.fixture(scope="module")
def digits():
    return BENCHMARKS["digits201"].evaluator()


@pytest.fixture(scope="module")
def few(candidates):
    """Four hundred candidates, so that predictions of all are quick."""
    rows = np.random.default_rng(0).permutation(len(candidates))[:400]
    return Candidates(SPACE, candidates.cells[rows], candidates.embeddings[rows])


def drive(strategy, queries):
    with tqdm(disable=True) as bar:
        return loop.run_search(strategy, Counting(), queries, None, bar).rows


def test_objectives_of_columns_sizes_and_functions(digits):
    flops = read_objective("max:flops", digits)
    assert (flops.name, flops.maximise, flops.known) == ("flops", True, True)
    cells = digits.table.cells[np.array([5, 900])]
    np.testing.assert_array_equal(flops.measure(cells), digits.table.columns["flops"][[5, 900]])
    measured = read_objective("measured:parameters", digits)
    assert (measured.maximise, measured.known) == (False, False)
    function = read_objective(f"{__name__}:poolings", digits)
    assert (function.name, function.maximise, function.known) == (f"{__name__}:poolings", False, False)
    assert read_objective(f"known:{__name__}:poolings", digits).known
    assert read_objective(poolings, digits).name == "poolings"
    graph = symbolic.build(SPACE, digits.table.architecture(900))
    adds = read_objective("multiply_adds", digits)
    assert adds.measure(cells)[1] == graph.multiply_adds.sum()


def test_columns_of_a_table_of_costs(digits, tmp_path):
    latency = np.linspace(1, 2, len(digits.table))
    table = dataclasses.replace(digits.table, columns={"digits201_latency": latency, "parameters": latency})
    objective = read_objective("latency", BENCHMARKS["digits201"].evaluator(), table)
    np.testing.assert_array_equal(objective.measure(table.cells), latency)
    # The table of costs comes before the benchmark's.
    np.testing.assert_array_equal(read_objective("parameters", digits, table).measure(table.cells), latency)


@pytest.mark.parametrize(
    ("objective", "limit", "message"),
    [
        (("accuracy", "speed"), (), "--objective=speed: expected one of accuracy, parameters, .*flops"),
        (("parameters", "accuracy"), (), "expected accuracy first"),
        (("accuracy", "parameters", "max:parameters"), (), "expected different ones"),
        (("min:accuracy",), (), "which is maximised"),
        (("accuracy", "max:min:parameters"), (), "one direction"),
        (("accuracy", "no_module:function"), (), "--objective=no_module:function: No module"),
        (("accuracy",), ("parameters:small",), "--limit=parameters:small: expected name:number"),
        (("accuracy",), ("measured:parameters:5",), "needs a second objective"),
    ],
)
def test_mistakes(digits, objective, limit, message):
    with pytest.raises(ConfigurationError, match=message):
        read_goals(digits, objective, limit)


def test_known_limits_rule_candidates_out(few):
    within = goals(True, 2.0).within(few)
    rows = np.flatnonzero(convolutions(few.cells) <= 2)
    np.testing.assert_array_equal(within.cells.operations, few.cells.operations[rows])
    np.testing.assert_array_equal(within.embeddings, few.embeddings[rows])
    with pytest.raises(ConfigurationError, match="none of 400 candidates has convolutions <= -1"):
        goals(True, -1.0).within(few)
    # What is measured by a query rules nothing out in advance.
    assert goals(False, 2.0).within(few) is few


def test_values_that_are_missing_or_beyond_a_limit_are_not_feasible(few):
    cells = few.cells[np.arange(5)]
    cost = Objective("cost", False, False, lambda cells: np.array([1.0, np.nan, 2.0, 3.0, 1.0]))
    some = Goals((Objective("accuracy", True, False, None), cost), (Limit(cost, 2.0),))
    accuracies = np.array([0.5, 0.5, 0.5, 0.5, 0.0])  # the last training failed
    assert some.feasible(cells, accuracies).tolist() == [True, False, True, False, False]
    np.testing.assert_array_equal(some.gains(cells, accuracies)[[0, 3]], [[0.5, -1.0], [0.5, -3.0]])


def test_limits_where_nobody_lists_the_candidates():
    space = MobileNetV3()
    limited = read_goals(_open(space), ("accuracy",), ("multiply_adds:3e8",))
    candidates = limited.within(OpenCandidates(space))
    rows = candidates.draw(20, np.random.default_rng(0), lambda row: False)
    adds = [symbolic.build(space, candidates.architecture(row)).multiply_adds.sum() for row in rows]
    assert len(set(rows)) == 20
    assert max(adds) <= 3e8
    heavy = [cell for cell in range(40) if not limited.allows(space.sample(40, seed=1)[np.array([cell])])[0]]
    assert candidates.rows_of_cells(space.sample(40, seed=1)[np.array(heavy)]).max() == -1


def test_strategies_query_allowed_architectures_alone():
    space = MobileNetV3()
    odd = Objective("odd", False, True, lambda cells: cells.operations.sum(axis=1) % 2.0)
    limited = Goals((Objective("accuracy", True, False, None),), (Limit(odd, 0.0),))
    candidates = limited.within(OpenCandidates(space))
    strategy = STRATEGIES["additive"](candidates, seeds=[1], initial=4)
    for _ in range(6):
        rows = strategy.suggest(1)
        assert limited.allows(candidates.cells[rows[0]]).all()
        strategy.update(rows, rows / 10_000)


def _open(space):
    return tfnas.benchmark(lambda architecture: 0.5, space=space)


def test_functions_are_asked_once_and_their_answers_kept(digits, tmp_path):
    asked = []

    def cost(architecture):
        asked.append(architecture)
        return poolings(architecture)

    objective = read_objective(cost, digits)
    some = Goals((read_objective("accuracy", digits), objective))
    some.keep_in(tmp_path)
    cells = digits.table.cells[np.array([3, 15000, 3])]
    first = objective.measure(cells)
    assert len(asked) == 2
    again = read_objective(cost, digits)
    Goals((read_objective("accuracy", digits), again)).keep_in(tmp_path)
    np.testing.assert_array_equal(again.measure(cells), first)
    assert len(asked) == 2


def test_expected_gain_is_that_of_sampled_points():
    rng = np.random.default_rng(1)
    front = np.array([[0.2, 1.5], [0.8, 0.9], [1.1, 0.1], [0.5, 0.5]])
    reference = np.array([-0.5, -0.3])
    for stddev in ([0.4, 0.7], [0.6, 0.0], [0.0, 0.3]):
        means = rng.normal(0.6, 0.6, size=(4, 2))
        deviations = np.tile(stddev, (4, 1))
        expected = expected_hypervolume_improvement(means, deviations, front, reference)
        before = pareto.hypervolume(front, reference)
        for mean, value in zip(means, expected, strict=True):
            points = mean + np.array(stddev) * rng.normal(size=(4000, 2))
            gains = [pareto.hypervolume(np.vstack([front, point]), reference) - before for point in points]
            assert value == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 4000**0.5 + 1e-9)


def test_scalarisations_by_hand():
    gains = np.array([[1.0, 0.0], [0.0, 4.0], [1.0, 3.0], [np.nan, np.nan]])
    # Distances from (1, 4) in units of the ranges 1 and 4: (0, 1), (1, 0), (0, 0.25).
    np.testing.assert_allclose(chebyshev(gains, np.array([0.25, 0.75]))[:3], [-0.7875, -0.2625, -0.196875])
    assert np.isnan(chebyshev(gains, np.array([0.25, 0.75]))[3])


@pytest.mark.parametrize("name", GOAL_STRATEGIES)
def test_strategies_of_several_objectives(few, name, tmp_path):
    """Distinct rows; a run is the same alone and among others; a strategy that was stopped goes on as if it was not."""
    settings = goals(name != "parego")
    make = strategies_for(settings, [name], 100)[name]
    whole = drive(make(few, [7, 8]), 26)
    assert whole.shape == (2, 26)
    assert all(len(set(run)) == 26 for run in whole.tolist())
    np.testing.assert_array_equal(drive(make(few, [8]), 26), whole[1:])
    first = make(few, [7, 8])
    drive(first, 21)
    artefacts.write_npz(tmp_path / "state.npz", **first.state())
    second = make(few, [90, 91])
    second.load_state(artefacts.read_npz(tmp_path / "state.npz"))
    np.testing.assert_array_equal(second.gains, first.gains)
    with tqdm(disable=True) as bar:
        ends = [loop.run_search(strategy, Counting(), 26, None, bar).rows for strategy in (first, second)]
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0][:, :21], whole[:, :21])


@pytest.mark.parametrize(("name", "queries"), [("nsga2", 100), ("ehvi", 40), ("parego", 40)])
def test_better_than_random(digits, name, queries):
    both = read_goals(digits, ("accuracy", "parameters"))
    chosen = Candidates(SPACE, digits.cells())
    gains = both.gains(chosen.cells, digits.scores.mean_validation)
    means = {}
    for strategy in ("random", name):
        search = strategies_for(both, [strategy], queries)[strategy](chosen, range(6))
        with tqdm(disable=True) as bar:
            rows = loop.run_search(search, digits, queries, None, bar).rows
        means[strategy] = np.mean([pareto.hypervolume(gains[run], gains.min(axis=0)) for run in rows])
    assert means[name] > means["random"]


@pytest.mark.parametrize("name", ["ehvi", "nsga2"])
def test_two_objectives_in_a_space_that_nobody_lists(name):
    space = MobileNetV3()
    evaluator = tfnas.benchmark(lambda architecture: 0.5 + 0.01 * len(set(architecture.operations)), space=space)
    result = tfnas.search(
        evaluator, objectives=["accuracy", "multiply_adds"], limits=["parameters:7e6"], strategy=name, queries=7
    )
    assert len(set(result.histories[name].rows[0].tolist())) == 7
    graphs = [symbolic.build(space, architecture) for architecture in result.front.architectures]
    assert all(graph.total_parameters <= 7e6 for graph in graphs)
    assert result.front.values[:, 1].tolist() == [float(graph.multiply_adds.sum()) for graph in graphs]


def test_a_search_with_two_objectives(digits, tmp_path):
    arguments = {"objectives": ["accuracy", "parameters"], "strategy": ["random", "nsga2"], "queries": 30, "runs": 3}
    result = tfnas.search(digits, **arguments, limits=["parameters:9000"], folder=tmp_path / "OUT")
    rows = digits.table.rows(SPACE.to_table(result.front.architectures))
    np.testing.assert_array_equal(result.front.values[:, 1], digits.table.columns["parameters"][rows])
    assert result.front.values.max(axis=0)[1] <= 9000
    assert (np.diff(result.front.values[:, 0]) < 0).all()
    assert (np.diff(result.front.values[:, 1]) < 0).all()
    allowed = digits.table.columns["parameters"] <= 9000
    population = np.stack([digits.scores.mean_validation, -digits.table.columns["parameters"]], axis=1)[allowed]
    np.testing.assert_array_equal(result.reference, population.min(axis=0))
    history = result.histories["nsga2"]
    asked = np.stack([history.scores.mean_validation[0], -result.gains["nsga2"][0, :, 1] * -1], axis=1)
    share = pareto.hypervolume(asked, result.reference) / pareto.hypervolume(population, result.reference)
    assert result.hypervolumes["nsga2"][0, -1] == pytest.approx(share)
    result.save(tmp_path / "OUT")
    written = sorted(path.name for path in (tmp_path / "OUT").iterdir())
    assert {"pareto.md", "pareto.json", "pareto.png", "hypervolume.png", "results.md", "summary.json"} <= set(written)
    summary = json.loads((tmp_path / "OUT" / "summary.json").read_text())
    assert summary["limits"] == ["parameters <= 9000"]
    assert 0 <= summary["strategies"]["nsga2"]["p_random"] <= 1
    again = tfnas.search(digits, **arguments, limits=["parameters:9000"], folder=tmp_path / "OUT")
    np.testing.assert_array_equal(again.histories["nsga2"].rows, history.rows)
    with pytest.raises(ConfigurationError, match="limit"):
        tfnas.search(digits, **arguments, folder=tmp_path / "OUT")


def test_one_objective_with_a_limit_takes_every_strategy(digits):
    result = tfnas.search(digits, strategy="evolution", limits=["parameters:9000"], queries=30)
    row = digits.table.row(result.best.architecture)
    assert digits.table.columns["parameters"][row] <= 9000


def test_strategies_that_do_not_suit():
    with pytest.raises(ConfigurationError, match="'bo' with several objectives, expected one of random, nsga2"):
        strategies_for(goals(), ["bo"], 100)
    three = Goals((*goals().objectives, Objective("more", True, True, convolutions)))
    assert (default_strategy(goals()), default_strategy(three)) == ("ehvi", "parego")
    with pytest.raises(ConfigurationError, match="'ehvi' takes two objectives, not accuracy, convolutions, more"):
        strategies_for(three, ["ehvi"], 100)["ehvi"](OpenCandidates(SPACE), [1])


def test_a_search_ends_where_no_function_is_left(digits):
    cells = digits.cells()[np.arange(40)]
    both = read_goals(digits, ("accuracy", "parameters"))
    for name in GOAL_STRATEGIES:
        candidates = Candidates(SPACE, cells)
        search = strategies_for(both, [name], 60)[name](candidates, [1, 2])
        with tqdm(disable=True) as bar:
            rows = loop.run_search(search, digits, 60, None, bar).rows
        assert rows.shape == (2, candidates.functions_count if name in ("ehvi", "parego") else 40)


def test_a_search_in_which_nothing_is_feasible(digits, tmp_path):
    def nothing(architecture):
        raise RuntimeError("too hot")

    result = tfnas.search(digits, objectives=["accuracy", nothing], queries=8, strategy=["ehvi", "parego", "nsga2"])
    assert len(result.front) == 0
    assert result.hypervolumes["ehvi"].max() == 0
    result.save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["strategies"]["ehvi"]["infeasible"] == 8


def test_the_page_lists_every_strategy():
    page = (ROOT / "docs" / "how_to" / "goals.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page.partition("## Strategies")[2], re.MULTILINE)) == set(GOAL_STRATEGIES)

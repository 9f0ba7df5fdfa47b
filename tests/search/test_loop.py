"""The search loop: states, resumption, comparison."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats
from tqdm import tqdm

import tfnas
from tests.search.test_strategies import SPACE
from tfnas import artefacts
from tfnas.benchmarks import BENCHMARKS, Evaluator, Score, Scores
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.search import STRATEGIES, Candidates, experiment, loop, strategies
from tfnas.spaces import Architecture, FiniteSpace


class Counting(Evaluator):
    """Scores by operations and counts how often it is asked; can fail after some answers."""

    space = SPACE

    def __init__(self, fail_after=None):
        self.asked = 0
        self.fail_after = fail_after

    def query(self, architectures):
        scores = []
        for architecture in architectures:
            if self.asked == self.fail_after:
                raise KeyboardInterrupt
            self.asked += 1
            value = 0.5 + 0.05 * architecture.operations.count("nor_conv_3x3")
            failure = "too many" if architecture.operations.count("none") > 4 else ""
            scores.append(Score(0.0, 0.0, 1.0, failure) if failure else Score(value, value - 0.1, 1.0))
        return scores


def run(candidates, folder, evaluator, name="bo"):
    with tqdm(disable=True) as bar:
        return loop.run_search(STRATEGIES[name](candidates, [7, 8]), evaluator, 30, folder, bar)


@pytest.mark.parametrize("name", ["random", "evolution", "reinforce", "bo"])
def test_killed_and_resumed_equals_uninterrupted(candidates, tmp_path, name):
    whole = run(candidates, tmp_path / "whole", Counting(), name)
    with pytest.raises(KeyboardInterrupt):
        run(candidates, tmp_path / "parts", Counting(fail_after=45), name)
    evaluator = Counting()
    resumed = run(candidates, tmp_path / "parts", evaluator, name)
    assert evaluator.asked < 60
    np.testing.assert_array_equal(resumed.rows, whole.rows)
    for part in ("validation", "test", "cost_seconds", "failure"):
        np.testing.assert_array_equal(getattr(resumed.scores, part), getattr(whole.scores, part))


def test_answers_depend_on_the_seed_of_the_run(candidates):
    """A benchmark of several trainings sees the seeds of the runs, here as scores."""

    class Seeded(Counting):
        def query_cells(self, cells, seeds=None):
            return dataclasses.replace(super().query_cells(cells), validation=seeds / 100)

    history = run(candidates, None, Seeded(), "random")
    np.testing.assert_array_equal(history.scores.validation, np.repeat([[0.07], [0.08]], 30, axis=1))


def test_answers_are_those_of_the_suggested_rows(candidates, tmp_path):
    history = run(candidates, tmp_path, Counting())
    assert history.rows.shape == (2, 30)
    asked = Counting().query_cells(candidates.cells[history.rows.ravel()])
    np.testing.assert_array_equal(history.scores.validation.ravel(), asked.validation)
    np.testing.assert_array_equal(history.at_best(history.scores.validation), history.scores.validation.max(axis=1))


def test_damaged_state(candidates, tmp_path):
    run(candidates, tmp_path, Counting())
    path = tmp_path / "state.npz"
    state = artefacts.read_npz(path)
    artefacts.write_npz(path, **{**state, "outcome_validation": state["outcome_validation"] + 0.1})
    with pytest.raises(CorruptArtefactError, match="not those that the strategy was told"):
        run(candidates, tmp_path, Counting())
    artefacts.write_npz(path, **{name: part for name, part in state.items() if name != "rows"})
    with pytest.raises(CorruptArtefactError, match="not a saved bo search"):
        run(candidates, tmp_path, Counting())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptArtefactError, match=r"state.npz"):
        run(candidates, tmp_path, Counting())


def test_comparison_writes_everything_and_the_same_bytes(candidates, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        comparison = experiment.compare(
            strategies(["random", "bo"]), candidates, Counting(), queries=20, runs=2, seed=1, folder=tmp_path / name
        )
        comparison.save(tmp_path / name)
    summary = comparison.summary
    first, second = ((tmp_path / name / "results.json").read_bytes() for name in ("first", "second"))
    assert first == second
    results = json.loads(first)
    for name, result in results.items():
        history = artefacts.read_npz(tmp_path / "first" / "strategies" / name / "history.npz")
        assert result["validation"] == history["validation"].max(axis=1).tolist()
        np.testing.assert_allclose(result["test"], np.array(result["validation"]) - 0.1)
        assert summary[name]["validation_mean"] == pytest.approx(np.mean(result["validation"]))
        assert summary[name]["validation_std"] == pytest.approx(np.std(result["validation"]))
        assert summary[name]["seconds_mean"] == 20
        assert summary[name]["failed"] == (history["failure"] != "").sum()
        best = [SPACE.from_string(text) for text in result["best"]]
        assert [score.validation for score in Counting().query(best)] == result["validation"]
    assert comparison.best.validation == max(max(result["validation"]) for result in results.values())
    assert Counting().query([comparison.best.architecture])[0].validation == comparison.best.validation
    encodings = json.loads((tmp_path / "first" / "summary.json").read_text())["best"]["encodings"]
    assert encodings.keys() == SPACE.encodings.keys()
    for name, value in encodings.items():
        assert SPACE.read(value, name) == SPACE.read(comparison.best.write(name)) == comparison.best.architecture
    frame = comparison.to_dataframe()
    assert frame.groupby(["strategy", "seed"]).validation.max()["bo"].tolist() == results["bo"]["validation"]
    assert frame["query"].tolist() == [*range(1, 21)] * 4
    assert frame.architecture[frame.validation.argmax()] == str(comparison.best)
    for name in ("search.png", "search.svg", "map.png", "best_cell.png", "results.md", "summary.json", "metrics.jsonl"):
        assert (tmp_path / "first" / name).stat().st_size > 0
    assert "| random " in comparison.table()


def comparison_of(candidates, **means):
    """Ten runs per strategy, two queries each; the second has the mean, the first is worse by 0.1."""
    spread = np.linspace(-0.01, 0.01, 10)[:, None]
    histories = {}
    for name, mean in means.items():
        values = mean + spread + np.array([-0.1, 0])
        scores = Scores(*[values] * 3, np.zeros(values.shape, np.str_))
        histories[name] = loop.History(np.zeros(values.shape, np.int64), scores, np.tile([0, 1], (10, 1)))
    return experiment.Comparison(candidates, histories, 1)


def test_the_conclusion_tells_strategies_apart_or_says_that_it_can_not(candidates):
    sure = comparison_of(candidates, random=0.5, bo=0.53)
    p = scipy.stats.mannwhitneyu(np.arange(10) + 100, np.arange(10), alternative="greater").pvalue
    assert sure.significance("bo") == {"random": pytest.approx(p)}
    assert sure.conclusion() == (
        "Test accuracy of the best by validation with 2 queries, 10 runs: bo 53.00%, random 50.00%; "
        f"search with --strategy=bo (above random with p = {p:.1g})."
    )
    close = comparison_of(candidates, random=0.5, bo=0.5005).conclusion()
    assert close.endswith("; bo and random can't be told apart (p = 0.37).")
    assert comparison_of(candidates, bo=0.5).conclusion().endswith("10 runs: bo 50.00%.")


def test_milestones_by_hand(candidates):
    table = comparison_of(candidates, bo=0.5).milestones()
    assert [line.split("|")[1:-1] for line in table.replace(" ", "").splitlines()[2:]] == [
        ["bo", "bestseen", "validation", "50.00"],
        ["bo", "bestseen", "meanvalidation", "50.00"],
        ["bo", "bestseen", "test", "50.00"],
    ]


def test_the_package_is_the_function(tmp_path):
    """`tfnas.search(...)` searches, and `tfnas.search` stays the package."""
    benchmark = BENCHMARKS["digits201"].evaluator()
    result = tfnas.search(benchmark, strategy=["random", "evolution"], queries=12, seed=3)
    assert (result.benchmark, result.best.seed) == ("digits201", 3)
    assert str(result) == result.table()
    best = result.best
    assert (
        benchmark.query([best.architecture])[0].validation == best.validation == result.to_dataframe().validation.max()
    )
    assert best.graph.num_nodes > 10
    assert best.network((8, 8, 1), 10)(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 10)
    best.draw(tmp_path / "best.png")
    assert (tmp_path / "best.png").stat().st_size > 0
    with pytest.raises(ConfigurationError, match="queries=0, expected at least 1"):
        tfnas.search(benchmark, queries=0)
    with pytest.raises(ConfigurationError, match="unknown strategy 'grid'"):
        tfnas.search(benchmark, strategy="grid")


def test_a_folder_continues_its_own_search_alone(tmp_path):
    benchmark = BENCHMARKS["digits201"].evaluator()
    first = tfnas.search(benchmark, strategy="random", queries=4, folder=tmp_path / "search")
    again = tfnas.search(benchmark, strategy="random", queries=4, folder=tmp_path / "search")
    assert again.results == first.results
    more = tfnas.search(benchmark, strategy="random", queries=6, folder=tmp_path / "search")
    np.testing.assert_array_equal(more.histories["random"].rows[:, :4], first.histories["random"].rows)
    assert more.results == tfnas.search(benchmark, strategy="random", queries=6).results
    assert not list(tmp_path.rglob("state.npz"))
    for changes in ({"queries": 5}, {"queries": 6, "seed": 2}):
        with pytest.raises(ConfigurationError, match=f"was started with {[*changes][-1]}="):
            tfnas.search(benchmark, strategy="random", **changes, folder=tmp_path / "search")
    other = BENCHMARKS["digits201"].evaluator(repeat="mean")
    with pytest.raises(ConfigurationError, match=r"benchmark_settings={}, not {'repeat': 'mean'}"):
        tfnas.search(other, strategy="random", queries=6, folder=tmp_path / "search")


@pytest.mark.parametrize("name", ["random", "evolution", "gp"])
def test_a_finished_comparison_goes_on_with_more_queries(candidates, tmp_path, name):
    """No training is repeated, and the result is that of a search with all queries from the start."""

    def compare(evaluator, queries, folder):
        return experiment.compare(
            strategies([name]), candidates, evaluator, queries=queries, runs=2, seed=1, folder=folder
        )

    first = compare(Counting(), 24, tmp_path).histories[name]
    evaluator = Counting()
    more = compare(evaluator, 32, tmp_path).histories[name]
    assert evaluator.asked == 2 * 8
    np.testing.assert_array_equal(more.rows[:, :24], first.rows)
    np.testing.assert_array_equal(more.rows, compare(Counting(), 32, None).histories[name].rows)


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_space_smaller_than_the_budget_is_searched_to_its_end(candidates, name):
    _, rows = np.unique(SPACE.functional_hashes(candidates.cells), return_index=True)  # no function twice
    few = Candidates(SPACE, candidates.cells[rows[:12]], candidates.embeddings[rows[:12]])
    comparison = experiment.compare(strategies([name]), few, Counting(), queries=30, runs=2, seed=1)
    assert np.sort(comparison.histories[name].rows).tolist() == [list(range(12))] * 2
    assert f"| {name} " in comparison.table()


def test_an_open_space_smaller_than_the_budget_is_searched_to_its_end():
    """One hundred chains, of which the last are rarely met by chance."""
    chains = [Architecture(("in", f"width_{n}", "out"), np.eye(3, k=1)) for n in range(100)]
    benchmark = tfnas.benchmark(lambda chain: int(chain.operations[1][6:]) / 100, space=FiniteSpace("chains", chains))
    result = tfnas.search(benchmark, strategy=["random", "evolution"], queries=300)
    for history in result.histories.values():
        assert len(set(history.rows[0].tolist())) == 100
    assert result.best.validation == 0.99


def test_finished_strategies_are_not_run_again(candidates, tmp_path):
    def compare(evaluator, folder):
        makers = strategies(["random", "evolution"])
        return experiment.compare(makers, candidates, evaluator, queries=12, runs=2, seed=1, folder=folder).histories

    with pytest.raises(KeyboardInterrupt):
        compare(Counting(fail_after=30), tmp_path)
    evaluator = Counting()
    resumed = compare(evaluator, tmp_path)
    assert evaluator.asked <= 24
    whole = compare(Counting(), None)
    for name in whole:
        np.testing.assert_array_equal(resumed[name].rows, whole[name].rows)


def test_a_budget_of_time(candidates, tmp_path):
    """Every query of `Counting` takes a second; the search goes on until all runs have spent the budget."""
    with tqdm(disable=True) as bar:
        history = loop.run_search(
            STRATEGIES["random"](candidates, [7, 8]), Counting(), 100, tmp_path, bar, budget_seconds=20.5
        )
    assert 21 <= history.rows.shape[1] < 30  # whole batches

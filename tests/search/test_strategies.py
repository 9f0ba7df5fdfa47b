"""Every strategy: budget, distinct suggestions, exact resumption; REINFORCE's gradient; the registry."""

import functools
import pathlib
import re
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.fork import ROOT
from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.search import STRATEGIES, Candidates, OpenCandidates, strategies
from tfnas.search.acquisition import predicted_mean
from tfnas.search.bayesian import BayesianOptimization
from tfnas.search.categorical import CategoricalReinforce
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.policies import Policies
from tfnas.search.pools import LatentNeighbours
from tfnas.search.reinforce import Reinforce
from tfnas.search.surrogate_search import SurrogateSearch
from tfnas.search.surrogates import dngo
from tfnas.spaces import Darts, MobileNetV3, NASBench201

SPACE = NASBench201()


def score(candidates, rows):
    """A smooth objective with its best at many 3x3 convolutions and no `none`."""
    counts = candidates.cells.one_hot(7).sum(axis=1)[rows]
    return 0.5 + 0.05 * counts[..., 2] - 0.06 * counts[..., 5]


def drive(strategy, queries):
    """Rows `[R, queries]`."""
    before = strategy.rows.shape[1]
    while strategy.rows.shape[1] < before + queries:
        new = strategy.suggest(before + queries - strategy.rows.shape[1])
        strategy.update(new, score(strategy.candidates, new))
    return strategy.rows[:, before:]


class Driven(NamedTuple):
    """Two runs of a strategy, and their state in between.

    Attributes:
      head: the first 30 queries, int64 `[2, 30]`.
      state: file of the state after them.
      scores: scores of the head.
      tail: the next 25 queries, int64 `[2, 25]`.
    """

    head: np.ndarray
    state: pathlib.Path
    scores: np.ndarray
    tail: np.ndarray


@pytest.fixture(scope="module")
def driven(candidates, tmp_path_factory):
    """`Driven` of a strategy's name, with the seeds 3 and 4; every strategy is driven once."""

    @functools.cache
    def run(name):
        strategy = STRATEGIES[name](candidates, [3, 4])
        head, path = drive(strategy, 30), tmp_path_factory.mktemp("state") / "state.npz"
        artefacts.write_npz(path, **strategy.state())
        return Driven(head, path, strategy.scores.copy(), drive(strategy, 25))

    return run


@pytest.mark.parametrize("name", STRATEGIES)
def test_distinct_suggestions_within_budget(candidates, driven, name):
    rows = np.concatenate([driven(name).head, driven(name).tail], axis=1)
    assert rows.shape == (2, 55)
    assert all(len(set(run)) == 55 for run in rows.tolist())
    assert rows.min() >= 0
    assert rows.max() < len(candidates)


@pytest.mark.parametrize("name", STRATEGIES)
def test_seed_decides(candidates, driven, name):
    rows = drive(STRATEGIES[name](candidates, [3, 4]), 30)
    np.testing.assert_array_equal(rows, driven(name).head)
    assert (rows[0] != rows[1]).any()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_run_is_the_same_alone_and_among_others(candidates, name):
    runs = 6 if name == "additive" else 70  # its runs are fitted one by one, all others in groups
    together = drive(STRATEGIES[name](candidates, range(runs)), 33)
    alone = drive(STRATEGIES[name](candidates, [runs - 2]), 33)
    np.testing.assert_array_equal(together[runs - 2], alone[0])


@pytest.mark.parametrize("name", STRATEGIES)
def test_state_resumes_exactly(candidates, driven, name):
    strategy = STRATEGIES[name](candidates, [90, 91])
    strategy.load_state(artefacts.read_npz(driven(name).state))
    np.testing.assert_array_equal(strategy.scores, driven(name).scores)
    np.testing.assert_array_equal(drive(strategy, 25), driven(name).tail)


@pytest.mark.parametrize(("name", "queries"), [("evolution", 150), ("bo", 40), ("gp", 40)])
def test_better_than_random(candidates, name, queries):
    best = {
        strategy: score(candidates, drive(STRATEGIES[strategy](candidates, range(5)), queries)).max(axis=1).mean()
        for strategy in (name, "random")
    }
    assert best[name] > best["random"]


def test_evolution_suggests_children_of_good_parents(candidates):
    strategy = RegularizedEvolution(candidates, [0, 1], population_size=10, tournament_size=10)
    drive(strategy, 10)
    for run, (child,) in enumerate(strategy.suggest(1)):
        parents = strategy.rows[run][strategy.scores[run] == strategy.scores[run].max()]
        differences = candidates.cells.operations[child] != candidates.cells.operations[parents]
        assert differences.sum(axis=1).min() == 1


def test_local_search_stays_near_the_best_or_asks_strangers(candidates):
    strategy = SurrogateSearch(
        candidates,
        [0, 1],
        surrogate=dngo(candidates),
        acquisition=predicted_mean,
        pool=LatentNeighbours(candidates, strangers=0),
        initial=16,
        batch=5,
    )
    drive(strategy, 40)
    distances = ((candidates.standardised[:, None] - candidates.standardised[strategy.rows[0]][None]) ** 2).sum(axis=2)
    order = np.argsort(-strategy.scores[0], kind="stable")[:10]
    near = np.argsort(distances[:, order], axis=0)[:50]
    assert set(strategy.suggest(3)[0].tolist()) <= set(near.ravel().tolist())


@pytest.mark.parametrize("sign", [1, -1])
def test_categorical_reinforce_follows_the_score_function_gradient(candidates, sign):
    """One update by hand: learning rate times advantage times (one-hot - probabilities), from uniform logits."""
    strategy = CategoricalReinforce(candidates, [0])
    first = strategy.suggest(1)
    strategy.update(first, [[0.5]])
    np.testing.assert_array_equal(strategy._logits, 0)  # the first score is its own baseline
    second = strategy.suggest(1)
    strategy.update(second, [[0.5 + 0.2 * sign]])
    codes = candidates.cells.operations[second[0, 0], 1:-1].astype(int) - 1
    np.testing.assert_allclose(strategy._logits[0], 0.5 * 0.2 * sign * (np.eye(5)[codes] - 0.2))


def test_categorical_reinforce_learns(candidates):
    rows = drive(CategoricalReinforce(candidates, range(8)), 250)
    scores = score(candidates, rows)
    assert scores[:, -30:].mean() > scores[:, :30].mean() + 0.1


def test_categorical_reinforce_resumes_and_needs_one_graph(candidates):
    first = CategoricalReinforce(candidates, [3, 4])
    drive(first, 20)
    second = CategoricalReinforce(candidates, [5, 6])
    second.load_state(first.state())
    np.testing.assert_array_equal(drive(first, 10), drive(second, 10))
    cells = Darts().sample(20, np.random.default_rng(0))
    with pytest.raises(ConfigurationError, match="NAS-Bench-101 or a space of one graph"):
        CategoricalReinforce(Candidates(Darts(), cells, np.zeros((20, 2), np.float32)), [0])


def test_a_fixed_baseline(candidates):
    strategy = Reinforce(candidates, [0], baseline=0.4)
    np.testing.assert_array_equal(strategy._compared_with(np.array([0.9])), [0.4])
    moving = Reinforce(candidates, [0])
    assert moving._compared_with(np.array([0.9])) == [0.9]
    assert moving._compared_with(np.array([0.5])) == [0.9]
    assert moving._compared_with(np.array([0.5])) == pytest.approx([0.86])


def test_reinforce_moves_towards_rewarded_actions(candidates):
    """One update raises the likelihood of actions with positive advantage, in each policy by its own episode."""
    policies = Policies(11, 32, 1e-2, [0, 1])
    rng = np.random.default_rng(0)
    states, actions = (rng.normal(size=(2, 4, 11)).astype(np.float32) for _ in range(2))

    def distances():
        memory, total = policies.initial_memory(), 0.0
        for step in range(4):
            mean, memory = policies.step(states[:, step], memory)
            total += ((mean - actions[:, step]) ** 2).sum(axis=1)
        return total

    before = distances()
    policies.update(states, actions, np.array([[1.0] * 4, [-1.0] * 4], np.float32))
    after = distances()
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_policy_is_the_keras_lstm_cell(candidates):
    policies = Policies(3, 5, 1e-2, [7])
    cell = tf_keras.layers.LSTMCell(5, unit_forget_bias=False)
    cell.build([None, 3])
    gates, bias, mean, mean_bias = (np.asarray(part)[0] for part in policies._weights)
    forget = np.repeat([0.0, 1.0, 0.0, 0.0], 5)
    cell.set_weights([gates[:3], gates[3:], bias + forget])
    memory = policies.initial_memory()
    expected_memory = [tf.zeros([1, 5]), tf.zeros([1, 5])]
    for state in np.random.default_rng(0).normal(size=(4, 1, 3)).astype(np.float32):
        ours, memory = policies.step(state, memory)
        output, expected_memory = cell(state, expected_memory)
        np.testing.assert_allclose(ours, output @ mean + mean_bias, atol=1e-5)


def test_reinforce_takes_the_nearest_free_candidate(candidates):
    strategy = Reinforce(candidates, [0, 1])
    points = np.random.default_rng(1).normal(size=(2, 11)).astype(np.float32)
    distances = ((candidates.standardised[None] - points[:, None]) ** 2).sum(axis=2)
    first = strategy._nearest(points, np.zeros((2, 0), np.int64))
    np.testing.assert_array_equal(first, distances.argmin(axis=1))
    second = strategy._nearest(points, first[:, None])
    np.put_along_axis(distances, first[:, None], np.inf, axis=1)
    np.testing.assert_array_equal(second, distances.argmin(axis=1))


def test_bad_use(candidates):
    candidates = Candidates(SPACE, candidates.cells[:1000], candidates.embeddings[:1000])
    strategy = STRATEGIES["random"](candidates, [0])
    with pytest.raises(ConfigurationError, match="at least 1"):
        strategy.suggest(0)
    with pytest.raises(ConfigurationError, match="never suggested"):
        strategy.update([[1]], [[0.5]])
    rows = strategy.suggest(3)
    with pytest.raises(ConfigurationError, match="expected a number"):
        strategy.update(rows, [[0.1, float("nan"), 0.2]])
    with pytest.raises(ConfigurationError, match=r"expected \[1, k\]"):
        strategy.update(rows, [[0.1, 0.2]])
    assert strategy.rows.shape == (1, 0)
    assert strategy.suggest(5000).shape == (1, 997)
    with pytest.raises(ConfigurationError, match="all 1000 candidates"):
        strategy.suggest(1)
    with pytest.raises(CorruptArtefactError, match="rngs"):
        strategy.load_state({})
    with pytest.raises(ConfigurationError, match=f"unknown strategy 'grid', expected one of {', '.join(STRATEGIES)}$"):
        strategies(["random", "grid"])
    with pytest.raises(ConfigurationError, match="strategy 'bo': got an unexpected keyword argument 'trees'"):
        STRATEGIES["bo"](candidates, [0], trees=3)
    with pytest.raises(ConfigurationError, match="initial=0"):
        STRATEGIES["gp"](candidates, [0], initial=0)
    with pytest.raises(ConfigurationError, match="3 embeddings"):
        Candidates(SPACE, candidates.cells, candidates.embeddings[:3])


def test_rows_of_architectures(candidates):
    part = Candidates(SPACE, candidates.cells[:1000], candidates.embeddings[:1000])
    wanted = [candidates.architecture(row) for row in (17, 5000, 999)]
    assert part.rows(wanted).tolist() == [17, -1, 999]


def test_what_was_scored_elsewhere_is_known(candidates):
    """Strategies fit to it and never suggest it; it must come first."""
    rows = np.array([[3, 5, 8], [1, 2, 4]])
    scores = np.array([[0.1, 0.5, 0.9], [0.3, 0.2, 0.1]])
    strategy = BayesianOptimization(candidates, [1, 2], initial=3)
    strategy.know(rows, scores)
    suggested = strategy.suggest(5)
    assert not any(set(rows[run]) & set(suggested[run]) for run in range(2))
    strategy.update(suggested, np.full(suggested.shape, 0.5))
    assert strategy.rows.shape == (2, 8)
    with pytest.raises(ConfigurationError, match="known in advance"):
        strategy.know(rows, scores)


def test_a_pool_of_candidates(candidates):
    """A small pool gives other suggestions, all distinct; a pool as large as the candidates is none."""
    whole, same, pooled = (
        drive(BayesianOptimization(candidates, [1], pool=pool, initial=4, batch=1), 30)
        for pool in (None, len(candidates), 8)
    )
    np.testing.assert_array_equal(whole, same)
    assert len(np.unique(pooled)) == 30
    assert not np.array_equal(whole, pooled)


def test_the_forest_uses_latents(candidates, rng):
    """Embeddings that say nothing, latents that tell the score."""
    noise = rng.normal(size=candidates.embeddings.shape).astype(np.float32)
    merit = np.arange(len(candidates), dtype=np.float32)[:, None] / len(candidates)
    best = {}
    for name, latents in (("blind", None), ("seeing", merit)):
        pool = Candidates(candidates.space, candidates.cells, noise, latents)
        strategy = STRATEGIES["forest"](pool, range(8))
        for _ in range(6):
            rows = strategy.suggest(20)
            strategy.update(rows, merit[rows, 0].astype(np.float64))
        best[name] = strategy.scores[:, 16:].mean()
    assert best["seeing"] > best["blind"] + 0.1
    with pytest.raises(ConfigurationError, match="latents"):
        STRATEGIES["forest"](Candidates(candidates.space, candidates.cells, noise, lambda: merit[:3]), [0])


def test_matrix_choices_make_nasbench101_cells(small_nasbench101, rng):
    """Every candidate comes back from its own choices; learning raises what was rewarded."""
    cells = small_nasbench101.enumerate()
    pool = Candidates(small_nasbench101, cells, np.zeros((len(cells), 1), np.float32))
    strategy = CategoricalReinforce(pool, [1, 2])
    rows = rng.choice(len(cells), 50, replace=False)
    choices = np.stack([strategy._encoding.choices(row) for row in rows])
    np.testing.assert_array_equal(strategy._encoding.rows(choices), rows)
    first = strategy.suggest(1)
    strategy.update(first, np.array([[0.5], [0.5]]))
    second = strategy.suggest(1)
    strategy.update(second, np.array([[0.9], [0.1]]))
    drawn = strategy._drawn_choices[:, 1]
    moved = np.take_along_axis(strategy._logits, drawn[:, :, None].astype(int), axis=2)[:, :, 0]
    assert (moved[0] > 0).all()
    assert (moved[1] < 0).all()


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in ("additive", "random", "evolution")])
def test_who_needs_a_list(name):
    with pytest.raises(ConfigurationError, match="mobilenetv3 can't be listed"):
        STRATEGIES[name](OpenCandidates(MobileNetV3()), [1])


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_who_needs_none(name):
    space = MobileNetV3()
    candidates = OpenCandidates(space)
    strategy = STRATEGIES[name](candidates, [1, 2])
    while strategy.rows.shape[1] < 40:
        rows = strategy.suggest(40 - strategy.rows.shape[1])
        sizes = [len(set(candidates.architecture(row).operations)) for row in rows.ravel().tolist()]
        strategy.update(rows, np.array(sizes).reshape(rows.shape) / 20)
    assert all(len(set(run)) == 40 for run in strategy.rows.tolist())


def test_the_documentation_lists_every_strategy():
    text = (ROOT / "docs" / "how_to" / "search.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", text, re.MULTILINE)
    assert rows == [(kind.name, kind.summary) for kind in STRATEGIES.values()]

"""Every strategy: budget, distinct suggestions, exact resumption; BO's improvement; REINFORCE's gradient."""

import numpy as np
import pytest
from scipy import integrate, stats

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.search import STRATEGY_NAMES, Candidates, RegularizedEvolution, Reinforce, get_strategy
from tfnas.search.bayesian import expected_improvement, log_expected_improvement
from tfnas.spaces import NASBench201

SPACE = NASBench201()


@pytest.fixture(scope="module")
def candidates():
    """The whole space with an embedding in which the count of each operation can be read."""
    cells = SPACE.enumerate()
    counts = cells.one_hot(7).sum(axis=1)
    noise = np.random.default_rng(0).normal(0, 0.1, (len(cells), 6))
    return Candidates(SPACE, cells, np.concatenate([counts[:, 1:6], noise], axis=1).astype(np.float32))


def score(candidates, rows):
    """A smooth objective with its best at many 3x3 convolutions and no `none`."""
    counts = candidates.cells.one_hot(7).sum(axis=1)[rows]
    return (0.5 + 0.05 * counts[:, 2] - 0.06 * counts[:, 5]).tolist()


def drive(strategy, queries):
    rows = []
    while len(rows) < queries:
        new = strategy.suggest(queries - len(rows))
        strategy.update(new, score(strategy.candidates, new))
        rows.extend(new)
    return rows


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_distinct_suggestions_within_budget(candidates, name):
    rows = drive(get_strategy(name, candidates, seed=1), 60)
    assert len(rows) == len(set(rows)) == 60
    assert min(rows) >= 0
    assert max(rows) < len(candidates)


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_seed_decides(candidates, name):
    assert drive(get_strategy(name, candidates, 1), 25) == drive(get_strategy(name, candidates, 1), 25)
    assert drive(get_strategy(name, candidates, 1), 25) != drive(get_strategy(name, candidates, 2), 25)


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_state_round_trip_continues_exactly(candidates, name):
    first = get_strategy(name, candidates, 3)
    head = drive(first, 30)
    state = {key: np.asarray(value) for key, value in first.state().items()}
    # The seed of BO also names its regression's initial weights; everything else is in the state.
    second = get_strategy(name, candidates, 3 if name == "bo" else 99)
    second.load_state(state)
    assert second.scores == first.scores
    tail = drive(second, 25)
    assert tail == drive(first, 25)
    assert len(set(head + tail)) == 55


@pytest.mark.parametrize(("name", "queries"), [("evolution", 150), ("bo", 40)])
def test_better_than_random(candidates, name, queries):
    best = {
        strategy: np.mean(
            [max(score(candidates, drive(get_strategy(strategy, candidates, seed), queries))) for seed in range(5)]
        )
        for strategy in (name, "random")
    }
    assert best[name] > best["random"]


def test_evolution_suggests_children_of_good_parents(candidates):
    strategy = RegularizedEvolution(candidates, 0, population_size=10, tournament_size=10)
    drive(strategy, 10)
    (child,) = strategy.suggest(1)
    parents = np.array(strategy.rows)[np.array(strategy.scores) == max(strategy.scores)]
    differences = candidates.cells.operations[child] != candidates.cells.operations[parents]
    assert differences.sum(axis=1).min() == 1


def test_reinforce_moves_towards_rewarded_actions(candidates):
    """One update raises the likelihood of actions with positive advantage."""
    policy = Reinforce(candidates, 0)._policy
    rng = np.random.default_rng(0)
    states, actions = (rng.normal(size=(4, 11)).astype(np.float32) for _ in range(2))

    def distance():
        memory, total = policy.initial_memory(), 0.0
        for state, action in zip(states, actions, strict=True):
            mean, memory = policy.step(state, memory)
            total += ((mean - action) ** 2).sum()
        return total

    before = distance()
    policy.update(states, actions, np.ones(4, np.float32))
    assert distance() < before


def test_expected_improvement_by_integration():
    for mean, stddev, best in ((0.5, 0.1, 0.6), (0.9, 0.2, 0.5), (0.0, 1.0, 2.0)):
        expected, _ = integrate.quad(
            lambda y, m=mean, s=stddev, b=best: (y - b) * stats.norm.pdf(y, m, s), best, mean + 12 * stddev
        )
        assert expected_improvement(mean, stddev, best) == pytest.approx(expected, rel=1e-6)
        assert log_expected_improvement(mean, stddev, best) == pytest.approx(np.log(expected), rel=1e-6)


def test_log_expected_improvement_ranks_where_the_plain_one_is_zero():
    means = np.linspace(-60, 0.9, 500)
    values = log_expected_improvement(means, np.ones(500), 1.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    assert expected_improvement(-60.0, 1.0, 1.0) == 0


def test_bad_use(candidates):
    candidates = Candidates(SPACE, candidates.cells[:1000], candidates.embeddings[:1000])
    strategy = get_strategy("random", candidates, 0)
    with pytest.raises(ConfigurationError, match="at least 1"):
        strategy.suggest(0)
    with pytest.raises(ConfigurationError, match="never suggested"):
        strategy.update([1], [0.5])
    rows = strategy.suggest(3)
    with pytest.raises(ConfigurationError, match="finite"):
        strategy.update(rows, [0.1, float("nan"), 0.2])
    assert strategy.rows == []
    assert len(strategy.suggest(5000)) == 997
    with pytest.raises(ConfigurationError, match="all 1000 candidates"):
        strategy.suggest(1)
    with pytest.raises(CorruptArtefactError, match="rng"):
        strategy.load_state({})
    with pytest.raises(ConfigurationError, match="random, evolution, reinforce, bo"):
        get_strategy("grid", candidates, 0)
    with pytest.raises(ConfigurationError, match="3 embeddings"):
        Candidates(SPACE, candidates.cells, candidates.embeddings[:3])


def test_row_of_an_architecture(candidates):
    assert candidates.row(candidates.architecture(17)) == 17
    part = Candidates(SPACE, candidates.cells[:1000], candidates.embeddings[:1000])
    assert part.row(candidates.architecture(5000)) is None

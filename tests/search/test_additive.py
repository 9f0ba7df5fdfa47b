"""The additive process against exact inversion, and the search that it guides."""

import itertools

import numpy as np
import pytest

from tests.search.test_strategies import drive, score
from tfnas.errors import ConfigurationError
from tfnas.search import Candidates, OpenCandidates
from tfnas.search.additive import AdditiveSearch
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.pools import Functions, Mutants, Vicinity, functions_or_vicinity
from tfnas.spaces import Architecture, FiniteSpace, MobileNetV3, NASBench101, NASBench201


@pytest.fixture(scope="module")
def process(candidates):
    rows = np.random.default_rng(0).permutation(len(candidates))[:50].reshape(2, 25)
    return AdditiveProcess(candidates).fit(rows, score(candidates, rows)), rows


def covariance(process, run, first, second):
    blocks = [process._features(rows) for rows in (first, second)]
    return np.tensordot(process.weights[run], process._kernels(*blocks).astype(float), 1)


def test_prediction_by_inversion(process, candidates):
    model, rows = process
    new = np.arange(100, 140)
    for run in range(2):
        prior = covariance(model, run, rows[run], rows[run]) + model.noise[run] * np.eye(25)
        cross = covariance(model, run, rows[run], new)
        expected = covariance(model, run, new, new) - cross.T @ np.linalg.solve(prior, cross)
        mean, stddev = model.predict(new, run)
        np.testing.assert_allclose(stddev**2, np.diag(expected), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(mean, model.mean(new, run), atol=1e-4)


def test_a_believed_score_is_an_example_with_its_mean(process):
    """Two believed candidates leave what an exact process with two more examples has."""
    model, rows = process
    new = np.arange(100, 140)
    posterior = model.posterior(new, 0)
    means = posterior.mean.copy()
    for number in (3, 17):
        posterior.believe(number)
    examples = np.concatenate([rows[0], new[[3, 17]]])
    prior = covariance(model, 0, examples, examples) + model.noise[0] * np.eye(27)
    cross = covariance(model, 0, examples, new)
    expected = covariance(model, 0, new, new) - cross.T @ np.linalg.solve(prior, cross)
    np.testing.assert_allclose(posterior.variance, np.diag(expected), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(posterior.mean, means)


def test_a_restored_process_has_the_bits_of_the_fitted_process(candidates):
    rows = np.random.default_rng(3).permutation(len(candidates))[:200].reshape(2, 100)
    scores = score(candidates, rows)
    fitted = AdditiveProcess(candidates).fit(rows, scores)
    restored = AdditiveProcess(candidates).restore(rows, scores, fitted.weights, fitted.noise)
    for first, second in zip(fitted._mixtures, restored._mixtures, strict=True):
        np.testing.assert_array_equal(first.root, second.root)
        np.testing.assert_array_equal(first.solution, second.solution)


def test_blocks(candidates):
    assert AdditiveProcess(candidates).blocks == ("operations", "paths", "graph")
    with_latents = Candidates(candidates.space, candidates.cells, candidates.embeddings, candidates.embeddings)
    assert AdditiveProcess(with_latents).blocks == ("operations", "paths", "graph", "latents")
    assert AdditiveProcess(with_latents, ["latents"]).blocks == ("latents",)
    with pytest.raises(ConfigurationError, match="no latents, expected blocks operations, paths, graph"):
        AdditiveProcess(candidates, ["latents"])


def test_no_function_is_asked_for_twice(candidates):
    some = Candidates(candidates.space, candidates.cells[:120], candidates.embeddings[:120])
    functions = len(set(candidates.space.functional_hashes(some.cells).tolist()))
    assert functions < 120
    rows = drive(AdditiveSearch(some, [0, 1]), functions)
    for run in rows:
        assert len(set(candidates.space.functional_hashes(some.cells[run]).tolist())) == functions
    strategy = AdditiveSearch(some, [0, 1])
    drive(strategy, functions)
    with pytest.raises(ConfigurationError, match=f"all {functions} candidates"):
        strategy.suggest(1)


def test_beats_evolution_and_random(candidates):
    from tfnas.search import STRATEGIES

    best = {
        name: score(candidates, drive(STRATEGIES[name](candidates, range(5)), 40)).max(axis=1).mean()
        for name in ("additive", "evolution", "random")
    }
    assert best["additive"] > max(best["evolution"], best["random"])


def test_suggestions_that_wait_for_scores_are_not_repeated_and_change_the_next(candidates):
    def started():
        strategy = AdditiveSearch(candidates, [5])
        drive(strategy, 20)
        return strategy

    strategy = started()
    first = strategy.suggest(1)
    second = strategy.suggest(1)
    batch = started()
    batch.batch = 2
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), batch.suggest(2))


def test_picks_are_the_best_means(candidates):
    strategy = AdditiveSearch(candidates, [1, 2], initial=6)
    noise = np.random.default_rng(0)
    while strategy.rows.shape[1] < 20:
        rows = strategy.suggest(20)
        strategy.update(rows, score(candidates, rows) + noise.normal(0, 0.05, rows.shape))
    assert strategy.picks.shape == (2, 20)
    for run in range(2):
        assert strategy.picks[run, -1] == strategy._process.mean(strategy.rows[run], run).argmax()
    np.testing.assert_array_equal(strategy.picks[:, 4], strategy.scores[:, :5].argmax(axis=1))
    before = strategy.picks[:, -1]
    strategy.batch = 3
    rows = strategy.suggest(3)
    strategy.update(rows, score(candidates, rows) + 1)  # better than all before, which the model has yet to learn
    np.testing.assert_array_equal(strategy.picks[:, 20:22], np.stack([before] * 2, axis=1))


def test_open_spaces_and_large_lists(candidates):
    assert isinstance(functions_or_vicinity(candidates, None), Functions)
    space = MobileNetV3()
    open_candidates = OpenCandidates(space)
    strategy = AdditiveSearch(open_candidates, [3], initial=5)
    assert isinstance(strategy._pool, Vicinity)
    for _ in range(8):
        rows = strategy.suggest(5)
        strategy.update(rows, (open_candidates.cells.operations[rows] % 3 == 0).mean(axis=-1))
    assert len(set(strategy.rows[0].tolist())) == strategy.rows.shape[1]
    assert strategy.scores[0, 5:].mean() > strategy.scores[0, :5].mean()


def test_a_small_space_that_nobody_lists():
    chains = [
        Architecture(("in", *names, "out"), np.eye(4, k=1)) for names in itertools.product(("small", "large"), repeat=2)
    ]
    candidates = OpenCandidates(FiniteSpace("chains", chains))
    strategy = AdditiveSearch(candidates, [0], initial=2)
    rows = drive_open(strategy, 4)
    assert sorted(rows[0].tolist()) == [0, 1, 2, 3]


def drive_open(strategy, queries):
    """Rows `[R, queries]` of a search for many large layers."""
    while strategy.rows.shape[1] < queries:
        rows = strategy.suggest(queries - strategy.rows.shape[1])
        strategy.update(rows, (strategy.candidates.cells.operations[rows] == 2).mean(axis=-1))
    return strategy.rows


def test_scores_that_were_known_in_advance_are_learned(candidates):
    strategy = AdditiveSearch(candidates, [1], initial=4)
    rows = np.arange(12)[None]
    strategy.know(rows, score(candidates, rows))
    suggested = strategy.suggest(1)
    assert strategy._process.weights.shape == (1, 6)
    assert not set(suggested[0].tolist()) & set(range(12))


def test_neighbours_of_long_lists_are_the_nearest():
    space = NASBench101()
    cells = space.sample(9000, 0)
    search = AdditiveSearch(Candidates(space, cells), [0], initial=5, blocks=["graph"])
    assert isinstance(search._pool, Vicinity)
    points = search._process.points
    distances = ((points - points[17]) ** 2).sum(axis=1)
    near = search._pool._near(search.candidates, 17)
    assert len(near) == 100
    assert distances[near].max() <= np.sort(distances)[99] + 1e-5
    rows = search.suggest(5)
    search.update(rows, cells.operations[rows].mean(axis=-1) / 255)
    (judged,) = search._pool.rows(search, 1)
    given = set(rows[0].tolist())
    assert not set(judged.tolist()) & given
    best = int(rows[0, search.scores.argmax()])
    assert set(search._pool._near(search.candidates, best).tolist()) <= {*judged.tolist(), *given}


def test_an_architecture_decides_its_mutants(candidates):
    mutants = Mutants()(candidates, 17)
    np.testing.assert_array_equal(mutants, Mutants()(candidates, 17))
    changed = candidates.cells.operations[mutants] != candidates.cells.operations[17]
    assert (changed.sum(axis=1) == 1).all()


def test_equal_functions_share_a_row_where_nobody_lists_them():
    space = NASBench201()
    cells = space.from_strings(
        [
            "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        ]
    )
    assert OpenCandidates(space).rows_of_cells(cells).tolist() == [0, 0]


def test_bad_settings(candidates):
    with pytest.raises(ConfigurationError, match="initial=0"):
        AdditiveSearch(candidates, [0], initial=0)
    with pytest.raises(ConfigurationError, match="batch=0"):
        AdditiveSearch(candidates, [0], batch=0)

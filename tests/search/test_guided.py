"""Guided evolution: budget, resumption, what guides do to it, spaces that can't be listed."""

import numpy as np
import pytest
from tqdm import tqdm

import tfnas
from tests.search.test_strategies import SPACE, drive, score
from tfnas import artefacts
from tfnas.benchmarks.function import FunctionEvaluator, load_function
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.proxies.tables import score_cells
from tfnas.search import OpenCandidates, strategies
from tfnas.search.experiment import compare
from tfnas.search.guided import GuidedEvolution
from tfnas.search.guides import guided, network_featurizer, predictor_guide, proxy_guide
from tfnas.search.loop import run_search
from tfnas.search.settings import GuideSettings
from tfnas.search.surrogates import FixedScores, NetworkProcess
from tfnas.spaces import SPACES, MobileNetV3, NASBench101, get_space


def counting(candidates):
    """A guide that knows how often operations occur, which decides the score of the tests."""
    return NetworkProcess(candidates, lambda cells: [cells.one_hot(7).sum(axis=1) - 1.0])


def test_a_predictor_beats_chance_and_stays_within_budget(candidates):
    rows = drive(GuidedEvolution(candidates, [1, 2, 3], counting(candidates), labels=12), 40)
    assert rows.shape == (3, 40)
    assert all(len(set(run)) == 40 for run in rows.tolist())
    random = score(candidates, rows[:, :12]).max(axis=1)
    assert (score(candidates, rows).max(axis=1) >= random).all()
    assert score(candidates, rows).max(axis=1).min() >= 0.5 + 0.05 * 5


def test_state_goes_through_a_file(candidates, tmp_path):
    first = GuidedEvolution(candidates, [1, 2], counting(candidates), labels=12)
    drive(first, 25)
    artefacts.write_npz(tmp_path / "state.npz", **first.state())
    rows = drive(first, 10)
    second = GuidedEvolution(candidates, [1, 2], counting(candidates), labels=12)
    second.load_state(artefacts.read_npz(tmp_path / "state.npz"))
    np.testing.assert_array_equal(drive(second, 10), rows)
    state = first.state()
    del state["learned"]
    with pytest.raises(CorruptArtefactError, match="learned"):
        GuidedEvolution(candidates, [1, 2], counting(candidates), labels=12).load_state(state)


def test_perfect_scores_find_the_best_at_once(candidates):
    truth = score(candidates, np.arange(len(candidates)))
    strategy = GuidedEvolution(candidates, [1, 2], FixedScores(truth), strangers=len(candidates))
    rows = drive(strategy, 5)
    assert (score(candidates, rows).max(axis=1) == truth.max()).all()
    assert strategy.initial == 2


def test_scores_that_are_missing_come_last():
    guide = FixedScores(np.array([np.nan, 1.0, -2.0]))
    assert np.argsort(guide.predict(np.arange(3))[0]).tolist() == [0, 2, 1]
    with pytest.raises(ConfigurationError, match="no candidate has a finite score"):
        FixedScores(np.array([np.nan]))


def test_features_are_made_once(candidates):
    asked = []
    featurize = network_featurizer(SPACE, candidates.cells[:50], "benchmark")

    def counted(cells):
        asked.append(len(cells))
        return featurize(cells)

    guide = NetworkProcess(candidates, counted)
    rows = np.arange(10).reshape(1, 10)
    with pytest.raises(ConfigurationError, match="before it has learned"):
        guide.predict(rows[0])
    mean, _ = guide.fit(rows, score(candidates, rows)).predict(np.array([3, 11, 3]))
    assert sum(asked) == 11
    assert mean[0] == pytest.approx(mean[2])


def small_share(architecture):
    """More 3 x 3 kernels, more accuracy."""
    return sum("kernel_3" in name for name in architecture.operations) / 20


def test_a_space_that_can_not_be_listed(tmp_path):
    space = MobileNetV3()

    def search(queries, folder):
        found = OpenCandidates(space)
        strategy = GuidedEvolution(
            found, [5], predictor_guide(found), labels=8, children=20, strangers=10, refit_every=8
        )
        return run_search(strategy, FunctionEvaluator(space, small_share), queries, folder, tqdm(disable=True)), found

    whole, found = search(20, tmp_path / "whole")
    assert len(set(whole.rows[0].tolist())) == 20
    values = [small_share(found.architecture(row)) for row in whole.rows[0].tolist()]
    np.testing.assert_allclose(whole.scores.validation[0], values)
    assert np.mean(values[8:]) > np.mean(values[:8])
    search(13, tmp_path / "parts")
    resumed, _ = search(20, tmp_path / "parts")
    np.testing.assert_array_equal(resumed.scores.validation, whole.scores.validation)


@pytest.mark.slow
def test_a_finished_search_of_an_open_space_resumes(tmp_path):
    space = MobileNetV3()
    makers = guided(strategies(["evolution"]), GuideSettings("predictor", labels=6), 10)
    results = []
    for _ in range(2):
        found = OpenCandidates(space)
        evaluator = FunctionEvaluator(space, small_share)
        comparison = compare(makers, found, evaluator, queries=10, runs=1, seed=1, folder=tmp_path)
        results.append(comparison.results)
        assert 10 <= found.met <= len(found)
    assert results[0] == results[1]
    assert "kernel_" in results[0]["evolution"]["best"][0]
    comparison.save(tmp_path)
    assert (tmp_path / "search.png").exists()
    assert not (tmp_path / "map.png").exists()


def test_guides_that_would_never_be_asked():
    guided(strategies(["evolution"]), GuideSettings("predictor"), 21)
    with pytest.raises(ConfigurationError, match="--queries=20 with --labels=20: no query is left"):
        guided(strategies(["evolution"]), GuideSettings("predictor"), 20)
    with pytest.raises(ConfigurationError, match="--guide=proxy guides --strategy=evolution, not bo"):
        guided(strategies(["bo"]), GuideSettings("proxy", proxy="parameters"), 20)
    with pytest.raises(ConfigurationError, match="--labels=2, expected at least 3"):
        GuideSettings("predictor", labels=2)
    with pytest.raises(ConfigurationError, match="--guide=oracle, expected one of none, predictor, proxy"):
        GuideSettings("oracle")
    with pytest.raises(ConfigurationError, match="must be at least 1"):
        GuidedEvolution(OpenCandidates(MobileNetV3()), [1], FixedScores(np.zeros(3)), strangers=0)


def test_a_space_that_is_used_up():
    space = get_space("nats_size")
    small = OpenCandidates(space)
    small.rows_of_cells(space.enumerate())
    with pytest.raises(ConfigurationError, match="nats_size has no new architectures left"):
        small.draw(1, np.random.default_rng(0), lambda row: True)


def test_open_candidates_know_isomorphic_cells_and_forget_what_no_run_was_given():
    space = NASBench101()
    found = OpenCandidates(space)
    cells = space.sample(5, np.random.default_rng(0))
    assert found.rows_of_cells(cells[np.arange(3)]).tolist() == [0, 1, 2]
    assert found.rows([space.architecture(cells, 1)]).tolist() == [1]
    found.keep(np.array([[1]]))
    found.forget()
    again = OpenCandidates(space)
    again.load_state(found.state())
    for candidates in (found, again):
        assert candidates.rows_of_cells(cells[np.array([3, 1, 4, 0])]).tolist() == [0, 1, 2, 3]
        assert candidates.met == 6
        np.testing.assert_array_equal(candidates.cells[np.arange(4)].adjacency, cells[np.array([3, 1, 4, 0])].adjacency)
    with pytest.raises(CorruptArtefactError):
        found.load_state({"operations": cells.operations})


@pytest.mark.parametrize("name", SPACES)
def test_crosses_are_valid_and_inherit(name):
    space, rng = get_space(name), np.random.default_rng(3)
    if space.name == "nasbench101":
        cells = space.to_table([space.architecture(space.sample(1, np.random.default_rng(s)), 0) for s in range(12)])
    else:
        cells = space.sample(12, rng)
    for row in range(0, 12, 2):
        first, second = space.architecture(cells, row), space.architecture(cells, row + 1)
        child = space.crossover(first, second, rng)
        assert space.validate(child) is None
        assert child != first
        if child.num_vertices == first.num_vertices == second.num_vertices and space.name != "nasbench101":
            pairs = zip(child.operations, first.operations, second.operations, strict=True)
            assert sum(own not in (a, b) for own, a, b in pairs) <= 2  # a mutant where crosses fail
    assert space.crossover(first, first, rng) != first


def test_guides_by_name(candidates, tmp_path):
    few = candidates.cells[:40]
    columns = score_cells(SPACE, few, lambda cell: {"convs": cell.operations.count("nor_conv_3x3")}, tmp_path)
    guide = proxy_guide(candidates, "convs", tmp_path / "scores.npz")
    np.testing.assert_array_equal(guide.predict(np.arange(40))[0], columns["convs"])
    assert guide.predict(np.array([41]))[0] == -np.inf
    size = proxy_guide(type(candidates)(SPACE, few, candidates.embeddings[:40]), "parameters")
    np.testing.assert_allclose(
        size.predict(np.arange(40))[0], pack_cells(SPACE, few, layout="benchmark").structure[:, 0]
    )
    settings = GuideSettings("proxy", proxy="convs", proxy_scores=str(tmp_path / "scores.npz"))
    makers = guided(strategies(["random", "evolution"]), settings, 20)
    assert list(makers) == ["random", "evolution"]
    assert isinstance(makers["evolution"](candidates, [1]), GuidedEvolution)
    assert makers["random"](candidates, [1]).name == "random"
    assert guided(strategies(["evolution"]), GuideSettings(), 20)["evolution"](candidates, [1]).name == "evolution"
    with pytest.raises(ConfigurationError, match="no scores 'depth', expected one of convs"):
        proxy_guide(candidates, "depth", tmp_path / "scores.npz")
    with pytest.raises(ConfigurationError, match="pass --proxy_scores, or use one of parameters"):
        proxy_guide(candidates, "depth")
    with pytest.raises(ConfigurationError, match="--guide=proxy goes with --proxy"):
        GuideSettings("predictor", proxy="convs")
    with pytest.raises(ConfigurationError, match="can't be listed, which a search by proxies needs"):
        makers["evolution"](OpenCandidates(MobileNetV3()), [1])


def test_functions_of_the_user(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_the_test.py").write_text("def accuracy(architecture):\n    return 0.5\nnumber = 3\n")
    assert load_function("mine_for_the_test:accuracy")(None) == 0.5
    for name, message in (
        ("mine_for_the_test", "expected module:function"),
        ("mine_for_the_test:other", "other"),
        ("no_such_module_here:f", "no_such_module_here"),
        ("mine_for_the_test:number", "not a function"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load_function(name)
    space = MobileNetV3()
    architecture = space.architecture(space.sample(1, np.random.default_rng(0)), 0)
    assert FunctionEvaluator(space, lambda _: np.float32(0.5)).query([architecture])[0].validation == 0.5


def broken(_):
    raise MemoryError("no room\nfor it")


def ended(_):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda _: 93.1, "ValueError: the accuracy function returned 93.1, expected a number in [0, 1]"),
        (lambda _: np.nan, "ValueError: the accuracy function returned nan, expected a number in [0, 1]"),
        (lambda _: None, "ValueError: the accuracy function returned None, expected a number in [0, 1]"),
        (broken, "MemoryError: no room for it"),
    ],
)
def test_a_function_that_fails(function, reason):
    space = get_space("nats_size")
    (score,) = FunctionEvaluator(space, function).query([space.from_string("8:16:24:32:40")])
    assert (score.validation, score.mean_validation, score.test, score.failure) == (0.0, 0.0, 0.0, reason)
    with pytest.raises(SystemExit):
        FunctionEvaluator(space, ended).query([space.from_string("8:16:24:32:40")])


def test_a_search_goes_on_after_failures_unless_all_of_the_first_trials_fail():
    space = get_space("nats_size")

    def fails_often(architecture):
        widths = space.to_string(architecture).split(":")
        if len(set(widths)) < 4:
            raise RuntimeError("equal widths")
        return int(widths[0]) / 64

    result = tfnas.search(tfnas.benchmark(fails_often, space=space), strategy="evolution", queries=40)
    frame = result.to_dataframe()
    failed = frame.failure != ""
    assert 5 < failed.sum() < 35
    assert set(frame.failure[failed]) == {"RuntimeError: equal widths"}
    assert not frame.validation[failed].any()
    assert (frame.validation[~failed] > 0).all()
    assert result.summary["evolution"]["failed"] == failed.sum()

    asked = []

    def fails(architecture):
        asked.append(architecture)
        raise RuntimeError(f"trial {len(asked)}")

    for queries, trials in ((40, 10), (3, 3)):
        asked.clear()
        with pytest.raises(ConfigurationError, match=f"all of the first {trials} trials failed, the last: RuntimeEr"):
            tfnas.search(tfnas.benchmark(fails, space=space), strategy="evolution", queries=queries)
        assert len(asked) == trials

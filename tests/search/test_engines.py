"""Parallel search: each trial once, dead workers, order, resumption, on processes and on a local Ray."""

import functools
import os
import pathlib
import signal
import time
import types

import numpy as np
import pytest
from tqdm import tqdm

from tests.search.test_strategies import SPACE
from tfnas.benchmarks import Score
from tfnas.benchmarks.function import FunctionEvaluator
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.errors import ConfigurationError
from tfnas.search import STRATEGIES, engines, loop
from tfnas.search.engines import Engine, ProcessEngine, RayEngine
from tfnas.search.settings import WorkerSettings


class Pretended(TrainedEvaluator):
    """Takes 0 to 40 ms for a training, says who did it, and dies as it is told.

    Args:
      notes: folder that gets a file per training begun.
      dies_once: the architecture whose first training kills its worker.
      dies: the one whose every training does.
    """

    def __init__(self, notes, dies_once="", dies=""):
        images = np.zeros((4, 2, 2, 1), np.float32), np.arange(4) % 2
        super().__init__(SPACE, None, ImageData(images, images, images, 2), TrainedConfig(), network="none")
        self.notes, self.dies_once, self.dies = pathlib.Path(notes), dies_once, dies

    def _fit(self, architecture):
        text = SPACE.to_string(architecture)
        key = SPACE.canonical_hash(architecture)
        number = len(list(self.notes.glob(f"{key}-*")))
        (self.notes / f"{key}-{number}-{os.getpid()}").touch()
        if text == self.dies or (text == self.dies_once and number == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(int(key[:4], 16) % 40 / 1000)
        share = architecture.operations.count("nor_conv_3x3") / 6
        return None, 0.5 + 0.4 * share, 0.4 + 0.4 * share


def search(candidates, folder, engine_class, queries, workers, *, strategy="evolution", seeds=(3,), **options):
    """The history, and the engine's evaluator, whose log is in the folder."""
    notes = folder / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    asynchronous = options.pop("asynchronous", False)
    make = functools.partial(Pretended, str(notes), **options)
    evaluator = make()
    evaluator.keep_in(folder / "trained.jsonl")
    with engine_class(evaluator, workers, make) as engine, tqdm(disable=True) as bar:
        history = loop.run_search(
            STRATEGIES[strategy](candidates, seeds),
            evaluator,
            queries,
            folder,
            bar,
            engine=engine,
            asynchronous=asynchronous,
        )
    return history


def log_of(folder):
    evaluator = Pretended(folder / "notes")
    evaluator.keep_in(folder / "trained.jsonl")
    return evaluator._log.records()


@pytest.mark.parametrize(
    ("engine", "workers", "trials"),
    [
        (ProcessEngine, 2, 20),
        pytest.param(RayEngine, 2, 20, marks=pytest.mark.slow),
        pytest.param(ProcessEngine, 8, 160, marks=pytest.mark.slow),
        pytest.param(RayEngine, 8, 160, marks=pytest.mark.slow),
    ],
)
def test_workers_finish_each_trial_once(candidates, tmp_path, engine, workers, trials):
    """A worker dies at a trial midway; the trial is issued again, once, and nothing else is."""
    victim = STRATEGIES["random"](candidates, [3]).suggest(trials)[0, trials // 2]
    history = search(
        candidates,
        tmp_path,
        engine,
        trials,
        workers,
        strategy="random",
        dies_once=SPACE.to_string(candidates.architecture(int(victim))),
    )
    records = log_of(tmp_path)
    assert len(records) == trials
    assert not any(record["failure"] for record in records.values())
    assert len(set(history.rows.ravel().tolist())) == trials
    begun = [note.name.split("-") for note in (tmp_path / "notes").iterdir()]
    assert len(begun) == trials + 1
    again = [key for key, number, _ in begun if number == "1"]
    assert again == [SPACE.canonical_hash(candidates.architecture(int(victim)))]
    assert len({pid for *_, pid in begun}) == workers + 1  # and the dead one's successor


def test_workers_read_architectures_of_every_space(space):
    """The text that a worker gets is the architecture that the search asked for."""
    asked = []

    def query(architectures):
        asked.extend(architectures)
        return [Score(0.5, 0.5, 1.0)]

    evaluator = types.SimpleNamespace(
        space=space, query=query, known=lambda architecture: None, remember=lambda architecture, score: score
    )

    class Worker:
        def evaluate(self, text):
            return engines._score_of(evaluator, text)

        def close(self):
            pass

    class Here(Engine):
        def start_worker(self):
            return Worker()

    cells = space.sample(3, seed=0)
    architectures = [space.architecture(cells, row) for row in range(3)]
    with Here(evaluator, 1) as engine:
        assert [engine.submit(architecture).result().validation for architecture in architectures] == [0.5] * 3
    assert asked == architectures


def test_results_do_not_depend_on_who_is_faster(candidates, tmp_path):
    """Three workers, interrupted or not, and one that is asked three times in advance, agree to the bit."""
    whole = search(candidates, tmp_path / "whole", ProcessEngine, 40, 3, seeds=(3, 4))
    state = tmp_path / "parts" / "state.npz"
    strategy, make = STRATEGIES["evolution"](candidates, (3, 4)), functools.partial(Pretended, str(tmp_path))
    evaluator = make()

    class Stopped(tqdm):
        def update(self, n=1):
            if self.n > 50:
                raise KeyboardInterrupt
            return super().update(n)

    with (
        pytest.raises(KeyboardInterrupt),
        ProcessEngine(evaluator, 3, make) as engine,
        Stopped(disable=False) as bar,
    ):
        loop.run_search(strategy, evaluator, 40, state.parent, bar, engine=engine)
    assert state.exists()
    resumed = search(candidates, tmp_path / "parts", ProcessEngine, 40, 3, seeds=(3, 4))
    np.testing.assert_array_equal(resumed.rows, whole.rows)
    np.testing.assert_array_equal(resumed.scores.test, whole.scores.test)


def test_asynchronous_answers_are_all_told(candidates, tmp_path):
    history = search(candidates, tmp_path, ProcessEngine, 30, 3, strategy="reinforce", asynchronous=True)
    assert len(set(history.rows.ravel().tolist())) == 30
    share = np.array([candidates.architecture(row).operations.count("nor_conv_3x3") / 6 for row in history.rows[0]])
    np.testing.assert_allclose(history.scores.validation[0], 0.5 + 0.4 * share)


def test_a_trial_that_kills_its_workers_fails_and_the_search_goes_on(candidates, tmp_path):
    poison = int(STRATEGIES["random"](candidates, [3]).suggest(6)[0, 2])
    history = search(
        candidates,
        tmp_path,
        ProcessEngine,
        6,
        2,
        strategy="random",
        dies=SPACE.to_string(candidates.architecture(poison)),
    )
    assert history.scores.failed.tolist() == [[False, False, True, False, False, False]]
    record = log_of(tmp_path)[SPACE.canonical_hash(candidates.architecture(poison))]
    assert record["failure"] == "WorkerDied: two workers died of it"


def test_an_architecture_is_trained_once(candidates, tmp_path):
    evaluator = Pretended(tmp_path)
    with ProcessEngine(evaluator, 2, functools.partial(Pretended, str(tmp_path))) as engine:
        scores = [engine.submit(candidates.architecture(5)) for _ in range(3)]
        assert len({score.result() for score in scores}) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_two_searches_share_a_log(candidates, tmp_path):
    """The second search finds every answer of the first."""
    search(candidates, tmp_path, ProcessEngine, 8, 2, strategy="random")
    (tmp_path / "state.npz").unlink()
    search(candidates, tmp_path, ProcessEngine, 8, 2, strategy="random")
    assert len(list((tmp_path / "notes").iterdir())) == 8


def lives(pid):
    """Whether there is such a process that is no zombie."""
    try:
        return " Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_end_of_an_engine_is_the_end_of_its_workers(candidates, tmp_path):
    evaluator = Pretended(tmp_path)
    make = functools.partial(Sleeping, str(tmp_path))
    engine = ProcessEngine(evaluator, 2, make)
    futures = [engine.submit(candidates.architecture(row)) for row in range(4)]
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pids = [int(note.name) for note in tmp_path.iterdir()]
    engine.close()
    assert all(future.cancelled() or future.exception() is not None for future in futures)
    for pid in pids:
        while lives(pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)


class Sleeping(Pretended):
    def _fit(self, architecture):
        (self.notes / str(os.getpid())).touch()
        time.sleep(600)


def broken(path):
    raise ConfigurationError(f"{path}: no images")


def test_what_can_not_start(candidates, tmp_path):
    evaluator = Pretended(tmp_path)
    with pytest.raises(ConfigurationError, match="workers=0, expected at least 1"):
        ProcessEngine(evaluator, 0, None)
    with pytest.raises(ConfigurationError, match="--engine=slurm, expected one of processes, ray"):
        WorkerSettings(engine="slurm")
    with pytest.raises(ConfigurationError, match="go with --engine=ray"):
        WorkerSettings(ray_address="auto")
    with pytest.raises(ConfigurationError, match="--workers=-1"):
        WorkerSettings(workers=-1)
    with (
        ProcessEngine(evaluator, 1, functools.partial(broken, "here")) as engine,
        pytest.raises(ConfigurationError, match="here: no images"),
    ):
        engine.submit(candidates.architecture(0)).result()


def test_engines_by_settings(candidates, tmp_path):
    evaluator = Pretended(tmp_path / "notes")
    with engines.start(WorkerSettings(), evaluator, None) as engine:
        assert engine is None
    with engines.start(WorkerSettings(workers=1), evaluator, None) as engine:
        assert isinstance(engine, ProcessEngine)
    engines.check(WorkerSettings(workers=1), evaluator)
    shared = WorkerSettings(trial_log=str(tmp_path / "shared.jsonl"))
    engines.check(shared, evaluator)
    engines.keep_trials(shared, evaluator, tmp_path / "no.jsonl")
    assert evaluator._log.path == tmp_path / "shared.jsonl"
    assert not (tmp_path / "no.jsonl").exists()
    engines.keep_trials(WorkerSettings(), evaluator, tmp_path / "default.jsonl")
    assert evaluator._log.path == tmp_path / "default.jsonl"
    with pytest.raises(ConfigurationError, match="trains nothing; drop --workers and --trial_log"):
        engines.check(WorkerSettings(workers=1), FunctionEvaluator(SPACE, len))


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_take_answers_in_any_order(candidates, name, rng):
    """Six rows are always on their way; a random one comes back. Every row is suggested once and learnt once."""
    strategy = STRATEGIES[name](candidates, [1, 2])
    waiting = []
    while strategy.rows.shape[1] < 60:
        while len(waiting) < 6 and strategy.asked < 60:
            rows = strategy.suggest(1)
            if not rows.size:
                break
            waiting.append(rows)
        rows = waiting.pop(int(rng.integers(len(waiting))))
        strategy.update(rows, rows / len(candidates))
    assert all(len(set(run)) == 60 for run in strategy.rows.tolist())
    np.testing.assert_array_equal(strategy.scores, strategy.rows / len(candidates))

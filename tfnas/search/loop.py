"""The one loop that runs strategies: ask, evaluate, tell, log; killed at any point, it resumes to the same result."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks import Evaluator, Score
from tfnas.errors import CorruptArtefactError
from tfnas.search import get_strategy
from tfnas.search.base import Candidates, Strategy

_BATCH = 8  # at most so many trainings are lost if the process dies


@dataclasses.dataclass(frozen=True)
class Trial:
    """One query.

    Attributes:
      row: which candidate.
      architecture: its name for people.
      score: what the benchmark answered.
    """

    row: int
    architecture: str
    score: Score


def run_search(strategy: Strategy, evaluator: Evaluator, queries: int, folder: pathlib.Path, bar: tqdm) -> list[Trial]:
    """Spends `queries` queries, continuing what `folder` holds.

    Writes `trials.jsonl`, a line per query, and `state.npz`, the strategy after its last whole batch.

    Args:
      strategy: a fresh strategy.
      evaluator: the benchmark.
      queries: the budget, what is already in `folder` included.
      folder: the run's own folder.
      bar: progress over all queries.

    Returns:
      All trials, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, state = folder / "trials.jsonl", folder / "state.npz"
    logged = _read_trials(log)
    trials: list[Trial] = []
    if state.exists():
        strategy.load_state(artefacts.read_npz(state))
        trials = logged[: len(strategy.rows)]
        if [trial.row for trial in trials] != strategy.rows:
            raise CorruptArtefactError(f"{log}: does not hold the trials that {state} was saved after")
    # Trials that were logged after the last state will be suggested again: their scores are known.
    known = {trial.row: trial for trial in logged[len(trials) :]}
    _write_trials(log, trials)
    bar.update(len(trials))
    while len(trials) < queries:
        rows = strategy.suggest(min(queries - len(trials), _BATCH))
        batch = _score(rows, known, strategy.candidates, evaluator)
        with log.open("a", encoding="utf-8") as file:
            file.writelines(_line(trial) for trial in batch)
        strategy.update(rows, [trial.score.validation for trial in batch])
        trials.extend(batch)
        artefacts.write_npz(state, **strategy.state())
        bar.update(len(batch))
    return trials


def run_experiment(
    names: list[str],
    candidates: Candidates,
    evaluator: Evaluator,
    output_dir: pathlib.Path,
    *,
    queries: int,
    runs: int,
    seed: int,
) -> dict[str, Any]:
    """Compares strategies over independent runs with the seeds `seed`, `seed + 1`, ...

    Args:
      names: strategies.
      candidates: what they choose from.
      evaluator: the benchmark; it may remember what it answered.
      output_dir: gets `results.json` (the same bytes for the same seed) and a folder per run under `runs/`.
      queries: budget of every run.
      runs: runs per strategy.
      seed: of the first run.

    Returns:
      Per strategy and run: the candidates queried (`rows`) and their validation accuracies (`scores`), the
      `validation` and `test` accuracy of the best one, its name (`best`), and the `seconds` of training.
    """
    results: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {}
    with tqdm(total=queries * runs * len(names), desc="Searching", unit="query") as bar:
        for name in names:
            results[name] = {"validation": [], "test": [], "best": [], "rows": [], "scores": []}
            seconds[name] = []
            for run in range(runs):
                strategy = get_strategy(name, candidates, seed + run)
                trials = run_search(strategy, evaluator, queries, output_dir / "runs" / f"{name}-{seed + run}", bar)
                best = max(trials, key=lambda trial: trial.score.validation)
                results[name]["validation"].append(best.score.validation)
                results[name]["test"].append(best.score.test)
                results[name]["best"].append(best.architecture)
                results[name]["rows"].append([trial.row for trial in trials])
                results[name]["scores"].append([trial.score.validation for trial in trials])
                seconds[name].append(sum(trial.score.cost_seconds for trial in trials))
    artefacts.write_json(output_dir / "results.json", results)
    return {name: {**results[name], "seconds": seconds[name]} for name in names}


def summarise(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over runs of what `run_experiment` returned, per strategy."""
    summary = {}
    for name, result in results.items():
        row: dict[str, float] = {"runs": len(result["validation"]), "queries": len(result["scores"][0])}
        for key in ("validation", "test", "seconds"):
            row[f"{key}_mean"] = float(np.mean(result[key]))
            row[f"{key}_std"] = float(np.std(result[key]))
        summary[name] = row
    return summary


def _score(rows: list[int], known: dict[int, Trial], candidates: Candidates, evaluator: Evaluator) -> list[Trial]:
    new = [row for row in rows if row not in known]
    architectures = [candidates.architecture(row) for row in new]
    fresh = {
        row: Trial(row, candidates.space.to_string(architecture), score)
        for row, architecture, score in zip(new, architectures, evaluator.query(architectures), strict=True)
    }
    return [known.get(row) or fresh[row] for row in rows]


def _line(trial: Trial) -> str:
    return json.dumps(dataclasses.asdict(trial), sort_keys=True) + "\n"


def _write_trials(path: pathlib.Path, trials: list[Trial]) -> None:
    with artefacts.atomic_file(path) as file:
        file.writelines(_line(trial).encode() for trial in trials)


def _read_trials(path: pathlib.Path) -> list[Trial]:
    """Every whole line; a torn last line, left by a killed process, is dropped."""
    if not path.exists():
        return []
    trials = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            trials.append(Trial(record["row"], record["architecture"], Score(**record["score"])))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise CorruptArtefactError(f"{path}, line {number}: not a trial") from error
    return trials

"""The search loop: logs, resumption, comparison."""

import json

import numpy as np
import pytest
from tqdm import tqdm

from tests.search.test_strategies import SPACE, candidates  # noqa: F401 (a fixture)
from tfnas.benchmarks import Evaluator, Score
from tfnas.errors import CorruptArtefactError
from tfnas.search import experiment, get_strategy, loop


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
            scores.append(Score(value, value - 0.1, 1.0))
        return scores


def run(candidates, folder, evaluator, name="bo"):  # noqa: F811
    with tqdm(disable=True) as bar:
        return loop.run_search(get_strategy(name, candidates, 7), evaluator, 30, folder, bar)


@pytest.mark.parametrize("name", ["random", "evolution", "reinforce", "bo"])
def test_killed_and_resumed_equals_uninterrupted(candidates, tmp_path, name):  # noqa: F811
    whole = run(candidates, tmp_path / "whole", Counting(), name)
    with pytest.raises(KeyboardInterrupt):
        run(candidates, tmp_path / "parts", Counting(fail_after=22), name)
    evaluator = Counting()
    assert run(candidates, tmp_path / "parts", evaluator, name) == whole
    assert evaluator.asked <= 30
    assert (tmp_path / "parts" / "trials.jsonl").read_bytes() == (tmp_path / "whole" / "trials.jsonl").read_bytes()


def test_logged_scores_are_not_paid_for_again(candidates, tmp_path):  # noqa: F811
    """A run that died between writing the trials and saving the state."""
    whole = run(candidates, tmp_path / "a", Counting())
    (tmp_path / "a" / "state.npz").unlink()
    log = tmp_path / "a" / "trials.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:20]) + '{"row": 3, "archit')
    evaluator = Counting()
    assert run(candidates, tmp_path / "a", evaluator) == whole
    assert evaluator.asked == 10


def test_damaged_log(candidates, tmp_path):  # noqa: F811
    run(candidates, tmp_path / "a", Counting())
    log = tmp_path / "a" / "trials.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(["{}\n", *lines[1:]]))
    with pytest.raises(CorruptArtefactError, match="line 1"):
        run(candidates, tmp_path / "a", Counting())
    log.write_text("".join(lines[:-3]))
    with pytest.raises(CorruptArtefactError, match="does not hold the trials"):
        run(candidates, tmp_path / "a", Counting())


def test_comparison_writes_everything_and_the_same_bytes(candidates, tmp_path, capsys):  # noqa: F811
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        summary = experiment.compare(
            ["random", "bo"],
            candidates,
            Counting(),
            tmp_path / name,
            queries=20,
            runs=2,
            seed=1,
            benchmark="counting",
        )
    first, second = ((tmp_path / name / "results.json").read_bytes() for name in ("first", "second"))
    assert first == second
    results = json.loads(first)
    for name, result in results.items():
        best = [max(scores) for scores in result["scores"]]
        assert result["validation"] == best
        np.testing.assert_allclose(result["test"], np.array(best) - 0.1)
        assert summary[name]["validation_mean"] == pytest.approx(np.mean(best))
        assert summary[name]["seconds_mean"] == 20
    for name in ("search.png", "search.svg", "map.png", "best_cell.png", "results.md", "summary.json", "metrics.jsonl"):
        assert (tmp_path / "first" / name).stat().st_size > 0
    assert "| strategy |" in capsys.readouterr().out

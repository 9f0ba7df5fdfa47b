"""What a search says on the way: the cost, the first failure, scores that tell nothing apart, a random start."""

import numpy as np
import pytest

from tfnas.benchmarks import Score
from tfnas.benchmarks.function import FunctionEvaluator
from tfnas.search import STRATEGIES, OpenCandidates, experiment
from tfnas.search.watch import Watch
from tfnas.spaces import NATSSize

CEILING = "Warning: the search can't tell architectures apart: every training reaches"


def said(scores, *, trainings=40, workers=0, seconds=30.0):
    lines = []
    watch = Watch(trainings, workers, "f1", lines.append)
    for score in scores:
        watch(score if isinstance(score, Score) else Score(score, score, seconds))
    return watch, lines


@pytest.mark.parametrize(
    ("trainings", "workers", "seconds", "line"),
    [
        (40, 0, 30.0, "First training: 30 s. 39 more take about 20 min; Ctrl-C stops, --resume continues."),
        (40, 4, 30.0, "First training: 30 s. 39 more take about 4.9 min; Ctrl-C stops, --resume continues."),
        (1001, 1, 360.0, "First training: 6 min. 1,000 more take about 4.2 days; Ctrl-C stops, --resume continues."),
        (1, 0, 0.5, "First training: 0.5 s."),
    ],
)
def test_the_cost(trainings, workers, seconds, line):
    assert said([0.5, 0.6], trainings=trainings, workers=workers, seconds=seconds)[1] == [line]


def test_the_first_failure():
    failure = Score(0.0, 0.0, 1.0, "ValueError: no such layer")
    _, lines = said([0.5, failure, failure])
    assert lines[1:] == ["A training failed, which counts as f1 0: ValueError: no such layer"]


def test_the_ceiling():
    """After five trainings, or at the end if the first five did not say so; once."""
    watch, lines = said([0.99, 0.985, 1.0, 1.0, 1.0, 1.0])
    assert [line.startswith(f"{CEILING} 98.5% or more f1. ") for line in lines] == [False, True]
    watch.conclude([np.array([[0.99, 0.985]])])
    assert len(lines) == 2
    watch, lines = said([0.99, 0.985])
    watch.conclude([np.array([[0.99]]), np.array([[0.985, 1.0]])])
    assert lines[-1].startswith(CEILING)
    watch, lines = said([0.99, 0.5])
    watch.conclude([np.array([[0.99, 0.5]])])
    assert len(lines) == 1


@pytest.mark.parametrize("queries", [20, 21])
def test_a_search_that_never_leaves_its_random_start(queries, capsys):
    space = NATSSize()
    evaluator = FunctionEvaluator(space, lambda architecture: 0.5)
    candidates = OpenCandidates(space)
    makers = {"evolution": STRATEGIES["evolution"]}
    experiment.compare(makers, candidates, evaluator, queries=queries, runs=1, seed=1)
    warned = "Warning: the first 20 queries of evolution are random, so all 20 are" in capsys.readouterr().err
    assert warned == (queries == 20)

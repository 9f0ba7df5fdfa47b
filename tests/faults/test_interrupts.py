"""Ctrl-C ends a binary within seconds, in one line and with all its processes; the run can be resumed."""

import random

import pytest

from perf.faults import runs
from tests.fork import run

_SECONDS = 5.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embed_corpus", "search --workers=2"])
def test_interrupted_runs_with_workers_are_resumed(name):
    small, rng = runs.RUNS[name], random.Random(0)
    with runs.small_inputs() as (inputs, work):
        whole = run(small.program, *small.command(inputs, work / "whole"))
        assert whole.returncode == 0, whole.stderr
        for number in range(5):
            folder = work / str(number)
            folder.mkdir()
            flags = small.command(inputs, folder / "out")
            seconds, reason = runs.interrupt(small.program, flags, folder, rng.uniform(1, 12))
            assert not reason
            assert seconds < _SECONDS
            resumed = run(small.program, *flags, *(["--resume"] if (folder / "out").exists() else []))
            assert resumed.returncode == 0, resumed.stderr
            assert small.digest(folder / "out") == small.digest(work / "whole")

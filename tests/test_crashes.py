"""kill -9 at any time: every run resumes to the same bits and loses only what came after its last checkpoint."""

import dataclasses
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.fork import run_here, server
from tests.small_runs import SMALL_RUNS, make_inputs
from tfnas.training.log import read_metrics

SEARCH = SMALL_RUNS["search"]
PARALLEL = dataclasses.replace(SEARCH, arguments=(*SEARCH.arguments, "--workers=2"))
RUNS = {**SMALL_RUNS, "parallel_search": PARALLEL}
KILLS = dict.fromkeys(SMALL_RUNS, 50) | {"parallel_search": 15}  # whose workers need seconds to start


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def saved_epochs(folder):
    """Epochs in the last checkpoint; every name that its state file tells must be there and whole."""
    path = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    return 0 if path is None else int(tf.train.load_variable(path, "progress/epoch/.ATTRIBUTES/VARIABLE_VALUE"))


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_kills(name, inputs, tmp_path):
    small = RUNS[name]
    log, out = tmp_path / "log", tmp_path / "out"

    def start(folder, resume):
        arguments = small.command(inputs, folder) + (["--resume"] if resume else [])
        process = server().Process(target=run_here, args=(small.program, arguments, log))
        process.start()
        return process

    def finish(process):
        process.join()
        assert process.exitcode == 0, log.read_text()[-3000:]

    finish(start(tmp_path / "first", False))  # the fork server's imports are not to be timed
    expected = small.digest(tmp_path / "first")
    began = time.monotonic()
    finish(start(tmp_path / "second", False))
    seconds = time.monotonic() - began
    assert small.digest(tmp_path / "second") == expected

    rng = np.random.default_rng(0)
    kills = epochs = 0
    while kills < KILLS[name]:
        process = start(out, out.exists())
        process.join(float(rng.uniform(0, seconds)))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
            reached = saved_epochs(out / small.training)
            assert reached >= epochs
            assert len(read_metrics(out / small.training / "metrics.jsonl")) <= reached + 1 or small.program == "search"
            epochs = reached
        else:
            finish(process)
            assert small.digest(out) == expected
            shutil.rmtree(out)
            epochs = 0
    finish(start(out, out.exists()))
    assert small.digest(out) == expected
    assert not list(out.rglob(".*"))

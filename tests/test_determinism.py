"""The same bytes from fresh processes, whatever the hash seed and the number of threads."""

import os
import subprocess
import sys

import pytest

from tests.fork import ROOT
from tests.small_runs import SEARCHES, SMALL_RUNS, make_inputs

THREADS = ("1", "4", "4")
RUNS = {**SMALL_RUNS, **{f"search_{name}": run for name, run in SEARCHES.items()}}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_three_processes_agree(name, inputs, tmp_path):
    digests = []
    for number, threads in enumerate(THREADS):
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads) | {"PYTHONHASHSEED": "random"}
        out = tmp_path / str(number)
        command = [sys.executable, "-m", f"trainers.{RUNS[name].program}", *RUNS[name].command(inputs, out)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        digests.append(RUNS[name].digest(out))
    assert digests[0] == digests[1] == digests[2]

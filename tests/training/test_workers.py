"""Two worker processes on this machine train every encoder as one process does."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.fork import ROOT
from tests.small_runs import SMALL_RUNS, make_inputs
from tfnas.training.log import read_metrics


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(name, inputs, folder, *arguments, **environment):
    small = SMALL_RUNS[name]
    command = [sys.executable, "-m", f"trainers.{small.program}", *small.command(inputs, folder), *arguments]
    output = (folder.parent / f"{folder.name}.log").open("w")
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL_RUNS if name != "search"])
def test_two_workers_equal_one_process(name, inputs, tmp_path):
    """The same global batches: the losses of three epochs agree up to rounding."""
    flags = ["--epochs=3", *(["--dropout=0"] if name == "motif" else [])]  # its noise is a replica's own
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [start(name, inputs, tmp_path / "one", *flags)]
    for index in range(2):
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        folder, environment = tmp_path / f"worker{index}", {"TF_CONFIG": json.dumps(cluster)}
        processes.append(start(name, inputs, folder, *flags, "--strategy=multi_worker", **environment))
    for process in processes:
        assert process.wait(timeout=400) == 0, "".join(path.read_text()[-2000:] for path in tmp_path.glob("*.log"))
    logs = (tmp_path / folder / SMALL_RUNS[name].training / "metrics.jsonl" for folder in ("one", "worker0"))
    one, two = ([record["loss"] for record in read_metrics(log)] for log in logs)
    assert len(one) == 3
    np.testing.assert_allclose(two, one, rtol=2e-3)

"""Workers: every item is worked on, errors come back as they are, and nothing outlives the process that asked."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import joblib
import psutil
import pytest

from tests.fork import ROOT, call_here, server
from tfnas import processes
from tfnas.errors import CorruptArtefactError

_SECONDS = 60.0


class Marked(processes.Work):
    """Leaves a file for every item, and for every worker that leaves; some items do something else."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def __enter__(self):
        self.entered = True
        return self

    def __exit__(self, *_):
        (self.folder / f"left {os.getpid()}").touch()

    def __call__(self, item):
        assert self.entered
        if item == "damaged":
            raise CorruptArtefactError("shard: damaged")
        if item == "missing":
            (self.folder / "missing").read_bytes()
        if item == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "sleep":
            helper = subprocess.Popen(["sleep", str(_SECONDS)])
            (self.folder / f"pids {os.getpid()} {helper.pid}").touch()
            helper.wait()
        (self.folder / item).touch()


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_is_worked_on(tmp_path, workers):
    items = [str(number) for number in range(7)]
    processes.for_each(Marked(tmp_path), items, workers)
    names = [path.name for path in tmp_path.iterdir()]
    left = [name for name in names if name.startswith("left ")]
    assert sorted(set(names) - set(left)) == items
    assert len(left) == workers
    assert f"left {os.getpid()}" not in left


def test_errors_come_back_and_end_the_other_workers(tmp_path):
    began = time.monotonic()
    with pytest.raises(CorruptArtefactError, match="shard: damaged") as raised:
        processes.for_each(Marked(tmp_path), ["sleep", "damaged", "never"], 2)
    assert str(raised.value) == "shard: damaged"
    assert "in __call__" in raised.value.__notes__[0]  # where it was raised
    with pytest.raises(FileNotFoundError) as raised:
        processes.for_each(Marked(tmp_path), ["missing"], 1)
    assert raised.value.filename == str(tmp_path / "missing")
    assert time.monotonic() - began < _SECONDS
    assert not (tmp_path / "never").exists()
    assert not (tmp_path / "sleep").exists()


def test_a_worker_that_dies_is_an_error(tmp_path):
    with pytest.raises(ChildProcessError, match="a worker died with exit code -9"):
        processes.for_each(Marked(tmp_path), ["death", "sleep"], 2)


def wait_for(condition):
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_and_what_they_started_end_with_the_process_that_asked(tmp_path, sent):
    """SIGINT goes to the whole group, as Ctrl-C in a terminal."""
    output, errors = tmp_path / "output", tmp_path / "errors"
    asked = functools.partial(processes.for_each, Marked(tmp_path), ["sleep", "sleep"], 2)
    process = server().Process(target=call_here, args=(asked, output, errors))
    process.start()
    wait_for(lambda: len(list(tmp_path.glob("pids *"))) == 2 or not process.is_alive())
    everyone = psutil.Process(process.pid).children(recursive=True)
    listed = {int(word) for path in tmp_path.glob("pids *") for word in path.name.split()[1:]}
    assert listed <= {child.pid for child in everyone}
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)
    else:
        os.kill(process.pid, sent)
    process.join(_SECONDS / 2)
    assert process.exitcode is not None
    _, alive = psutil.wait_procs(everyone, timeout=5)
    assert not alive
    said = errors.read_text()
    assert said.count("Traceback") == (sent == signal.SIGINT)  # of the process that asked alone
    assert said.rstrip().endswith("KeyboardInterrupt" if sent == signal.SIGINT else "")


def test_a_fork_server_ends_while_it_imports_if_nobody_waits_for_it(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text(f"import time\ntime.sleep({_SECONDS})\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    program = "from tfnas import processes; processes.fork_server('slow_module'); print('started', flush=True); input()"
    asking = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert asking.stdout.readline() == b"started\n"
    started = psutil.Process(asking.pid).children()
    assert any("forkserver" in " ".join(process.cmdline()) for process in started)
    asking.kill()
    asking.communicate()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert not alive


def blocks_interruptions(number):
    return number, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_of_joblib_do_not_hear_interruptions():
    """Their first function may come after the interruption, so what matters is what they inherit."""
    asked = (
        "import joblib; from tests.test_processes import blocks_interruptions as asked; from tfnas import processes;"
    )
    asked += "print(*processes.results((joblib.delayed(asked)(number) for number in range(4)), 2))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split("\n")[0] == "(0, True) (1, True) (2, True) (3, True)", done.stderr
    alone = [joblib.delayed(blocks_interruptions)(number) for number in range(2)]
    assert list(processes.results(alone, 1)) == [(0, False), (1, False)]

"""Runs whose clock goes backwards, as a clock does that is set right in the middle of a run."""

import itertools
import pathlib
import time
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from perf.faults.runs import RUNS, finished, small_inputs, started
from perf.faults.table import Row, chosen, scaled
from tests.fork import run_here
from tests.small_runs import SmallRun
from tfnas import artefacts

_MINUTE, _DAY = 60.0, 86400.0


def clocks_that_go_back(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """A clock that goes back a minute at each look, and a run that is killed and resumed on the day before."""
    with small_inputs() as (inputs, work):
        for name in chosen(RUNS, names)[: scaled(len(RUNS), share)]:
            wrong = run_backwards(RUNS[name], inputs, work / name)
            measured = "; ".join(wrong) or "equal results"
            yield Row(f"{name}: clock that goes back", 2, measured, "equal results, no negative seconds", not wrong)


def run_backwards(small: SmallRun, inputs: pathlib.Path, folder: pathlib.Path) -> list[str]:
    """Runs under a clock that goes back, once as a whole, and once killed and resumed.

    Args:
      small: run.
      inputs: inputs of the run.
      folder: new folder for outputs.

    Returns:
      What went wrong.
    """
    folder.mkdir(parents=True)
    log = folder / "log"
    finished(started(run_here, small.program, small.command(inputs, folder / "expected"), log), log)
    began = time.monotonic()
    whole = small.command(inputs, folder / "whole")
    finished(started(run_with_clock, 0.0, small.program, whole, log), log)
    seconds = time.monotonic() - began
    resumed = small.command(inputs, folder / "resumed")
    process = started(run_with_clock, 0.0, small.program, resumed, log)
    process.join(0.6 * seconds)
    process.kill()
    process.join()
    again = [*resumed, "--resume"] if (folder / "resumed").exists() else resumed
    finished(started(run_with_clock, _DAY, small.program, again, log), log)
    wrong = []
    for name in ("whole", "resumed"):
        if small.digest(folder / name) != small.digest(folder / "expected"):
            wrong.append(f"{name}: other results")
        wrong += [f"{name}: {entry}" for path in (folder / name).rglob("*.json") for entry in _negative(path)]
    return wrong


def run_with_clock(back: float, program: str, arguments: list[str], log: pathlib.Path) -> NoReturn:
    """Runs a binary in this process, a fork, under a clock that goes back a minute at each look.

    Args:
      back: seconds by which the clock is slow at the first look.
      program: program as `tests.fork.module_of` takes it.
      arguments: flags.
      log: file of the output.
    """
    import tqdm.std

    start, looks = time.time() - back, itertools.count()
    time.time = tqdm.std.time = lambda: start - _MINUTE * next(looks)
    run_here(program, arguments, log)


def _negative(path: pathlib.Path) -> list[str]:
    """Entries of a JSON file that are negative numbers of seconds."""
    entries = []

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, key)
        elif isinstance(value, list):
            for item in value:
                walk(item, name)
        elif "second" in name and isinstance(value, int | float) and value < 0:
            entries.append(f"{path.name}: {name} is {value}")

    walk(artefacts.read_json(path), "")
    return entries

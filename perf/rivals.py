"""Programs that run in turn, each in a process of its own, so that no program sees another's threads or caches."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

Measurement = dict[str, float]
"""What a program measured, by name."""


def measure_in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Measurement]]:
    """Runs programs one after the other, round after round, each on one core.

    Args:
      commands: command of every program by its name.
      rounds: number of rounds.

    Returns:
      The measurement of every round by program.
    """
    results: dict[str, list[Measurement]] = {name: [] for name in commands}
    with one_core():
        for _ in range(rounds):
            for name, command in commands.items():
                results[name].append(measurement(command))
    return results


def measurement(command: Sequence[str]) -> Measurement:
    """Runs a program and returns the JSON object on the last line that it prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Binds this process, and programs that it starts, to one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)

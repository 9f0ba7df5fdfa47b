"""Runs that are killed, interrupted, doubled, or started where little is allowed."""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from perf.faults.processes import ROOT
from perf.faults.table import Row, chosen, scaled
from tests.fork import run_here, server
from tests.small_runs import SMALL_RUNS, SmallRun, make_inputs
from tests.trainers.test_mistakes import COMMANDS, LONG, OUTPUT
from trainers.__main__ import GROUPS

_KILLS, _INTERRUPTS = 20, 5
_SECONDS_TO_END, _SECONDS_TO_INTERRUPT = 5.0, 20.0
_COMMANDS = {name for names in GROUPS.values() for name in names}
_PREDICTOR = "predictor/variables/variables.data-00000-of-00001"

RUNS: dict[str, SmallRun] = {
    **{f"pretrain, {name}": SMALL_RUNS[name] for name in ("arch2vec", "computation_graph", "jacobian", "motif")},
    "search --workers=2": dataclasses.replace(
        SMALL_RUNS["search"], arguments=(*SMALL_RUNS["search"].arguments, "--workers=2")
    ),
    "embed_corpus": SmallRun(
        "embed_corpus",
        ("--encoder=arch2vec_nasbench201", "--corpus={inputs}/cells"),
        tuple(f"embeddings/embeddings-0000{shard}-of-00002.npz" for shard in (0, 1)),
    ),
    "build_index": SmallRun("build_index", ("--corpus={inputs}/graphs",), ("index/items.npz", "index/graphs.npz")),
    "extract_jacobians": SmallRun(
        "extract_jacobians",
        (
            *("--space=nats_size", "--count=12", "--data={inputs}/images.npz", "--num_images=4", "--components=4"),
            *("--initializations=2", "--shard_size=2"),
        ),
        tuple(f"corpus/jacobians-0000{shard}-of-00006.tfrecord" for shard in range(6)),
    ),
    "train_predictor": SmallRun(
        "train_predictor", ("--benchmarks=digits201:60", "--epochs=3"), (_PREDICTOR, "predictor/reference.npz")
    ),
}
"""Runs that can be killed and resumed, by name."""


@contextlib.contextmanager
def small_inputs() -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A folder of corpora and images, and an empty folder, for the time of a block."""
    with tempfile.TemporaryDirectory() as home:
        for name in ("inputs", "work"):
            pathlib.Path(home, name).mkdir()
        yield make_inputs(pathlib.Path(home, "inputs")), pathlib.Path(home, "work")


def started(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that calls a function, a fork of a process that has imported TensorFlow."""
    process = server().Process(target=target, args=arguments)
    process.start()
    return process


def finished(process: BaseProcess, log: pathlib.Path) -> None:
    """Waits for a process; raises RuntimeError with the process's last words if the process fails."""
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"exit code {process.exitcode}: {log.read_text()[-3000:]}")


def killed_runs(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """SIGKILL at random moments; each run is resumed until the run ends, and the results are compared."""
    with small_inputs() as (inputs, work):
        for name in chosen(RUNS, names):
            small = RUNS[name]
            kills = scaled(_KILLS, share)
            wrong = kill(small, inputs, work / small.program / name, kills)
            measured = f"{kills - len(wrong)} resumed to equal results" + "".join(f"; {reason}" for reason in wrong[:2])
            yield Row(f"{name}: SIGKILL at a random moment", kills, measured, "equal results", not wrong)


def kill(small: SmallRun, inputs: pathlib.Path, folder: pathlib.Path, kills: int) -> list[str]:
    """Kills a run many times.

    Args:
      small: run.
      inputs: inputs of the run.
      folder: new folder for outputs.
      kills: number of kills.

    Returns:
      What went wrong after a kill.
    """
    folder.mkdir(parents=True)
    log, out = folder / "log", folder / "out"
    seconds = 0.0
    for number in range(2):  # the first run pays for imports
        began = time.monotonic()
        finished(started(run_here, small.program, small.command(inputs, folder / str(number)), log), log)
        seconds = time.monotonic() - began
    expected = small.digest(folder / "0")
    wrong = [] if small.digest(folder / "1") == expected else ["two runs without a kill differ"]
    rng = random.Random(small.program)
    done = 0
    while done < kills or out.exists():
        arguments = small.command(inputs, out) + (["--resume"] if out.exists() else [])
        process = started(run_here, small.program, arguments, log)
        process.join(rng.uniform(0, seconds) if done < kills else None)
        if process.exitcode is None:
            process.kill()
            process.join()
            done += 1
            continue
        if process.exitcode != 0:
            wrong.append(f"exit code {process.exitcode}: {log.read_text().strip().splitlines()[-1]}")
        elif small.digest(out) != expected:
            wrong.append("other results")
        elif list(out.rglob(".*")):
            wrong.append("a torn file stays")
        shutil.rmtree(out)
    return wrong


def commands(inputs: pathlib.Path) -> dict[str, list[str]]:
    """The flags of a small run of every binary that writes files, by the binary's name."""
    return {
        name: [argument.format(inputs=inputs) for argument in arguments]
        for name, arguments in COMMANDS.items()
        if not name.startswith("reproductions ") and name != "convert_benchmark"
    }


def make_all_inputs(inputs: pathlib.Path) -> None:
    """Adds a pretraining run and a model to the inputs, which some binaries read."""
    import keras

    small = SMALL_RUNS["arch2vec"]
    command = [sys.executable, "-m", f"trainers.{small.program}", *small.command(inputs, inputs / "run"), "--epochs=1"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    keras.Model(images, keras.layers.Dense(10)(pooled)).save(inputs / "mine.keras")


def output_flag(name: str, folder: pathlib.Path) -> str:
    """The flag of a binary's output."""
    return f"--{OUTPUT[name]}{folder}/x.json" if name in OUTPUT else f"--output_dir={folder / 'out'}"


def interrupted_binaries(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """SIGINT, as Ctrl-C sends to a terminal's processes: after 20 s, and at random moments before, of every binary."""
    with small_inputs() as (inputs, work):
        make_all_inputs(inputs)
        times, wrong = [], []
        rng = random.Random(0)
        binaries = commands(inputs)
        for name in chosen(binaries, names):
            longest = _SECONDS_TO_INTERRUPT
            for number in range(scaled(_INTERRUPTS, share)):
                folder = work / f"{name} {number}"
                folder.mkdir()
                after = rng.uniform(1, longest) if number else longest
                began = time.monotonic()
                seconds, reason = interrupt(name, [*binaries[name], output_flag(name, folder)], folder, after)
                longest = longest if number else max(1.0, min(longest, time.monotonic() - began))
                times.append(seconds)
                if reason or seconds > _SECONDS_TO_END:
                    wrong.append(f"{name} after {after:.1f} s: {reason or f'{seconds:.1f} s'}")
                    print(wrong[-1], (folder / "log").read_text()[-3000:], sep="\n", file=sys.stderr, flush=True)
    measured = f"slowest {max(times):.1f} s" + "".join(f"; {line}" for line in wrong[:5])
    bound = f"ends within {_SECONDS_TO_END:.0f} s, one line, no process left"
    yield Row("every binary: SIGINT at a random moment", len(times), measured, bound, not wrong)


def interrupt(name: str, arguments: Sequence[str], folder: pathlib.Path, after: float) -> tuple[float, str]:
    """Sends SIGINT to a binary and all processes of its group.

    Args:
      name: name of a module of `trainers`.
      arguments: flags.
      folder: folder of the file `log`, which gets what the binary prints.
      after: seconds after the start.

    Returns:
      Seconds until the process ended, 0 if it ended by itself before, and what was wrong, "" for nothing.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a shell's background would ignore it
    command = (
        [sys.executable, "-m", "trainers", name] if name in _COMMANDS else [sys.executable, "-m", f"trainers.{name}"]
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
        return 0.0, f"exit code {process.returncode}" if process.returncode else ""
    children = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    seconds = time.monotonic() - began
    _, left = psutil.wait_procs(children, timeout=_SECONDS_TO_END)
    for child in left:
        child.kill()
    process.kill()
    process.wait()
    said = [line for line in (folder / "log").read_text().splitlines() if line.strip()]
    if left:
        return seconds, f"{len(left)} processes left"
    whole = process.returncode == 0  # the run was done already
    if not whole and (not said or not said[-1].startswith("interrupted") or "Traceback" in "\n".join(said)):
        return seconds, f"said {said[-1:]}"
    return seconds, ""


def shared_folders(share: float) -> Iterator[Row]:
    """Two processes that are started at once with the same output folder."""
    tries, outcomes = scaled(5, share), []
    with small_inputs() as (inputs, work):
        for number in range(tries):
            for name, small in RUNS.items():
                folder = work / f"{number} {name}"
                folder.mkdir()
                logs = [folder / "log 0", folder / "log 1"]
                arguments = small.command(inputs, folder / "out")
                pair = [started(run_here, small.program, arguments, log) for log in logs]
                for process in pair:
                    process.join()
                refusals = [log.read_text().strip().splitlines()[-1:] for log in logs]
                refused = sum("another process" in "".join(line) or "not empty" in "".join(line) for line in refusals)
                outcomes.append(sorted(process.exitcode == 0 for process in pair) == [False, True] and refused == 1)
    measured = f"{sum(outcomes)} pairs with one result and one refusal"
    yield Row("two processes, one output folder", len(outcomes), measured, "all pairs", all(outcomes))


def in_small_disk(kilobytes: int, place: pathlib.Path, program: str, arguments: list[str], log: pathlib.Path) -> None:
    """Runs a binary with a file system of its own mounted at a folder, which no other process sees."""
    mount_tmpfs(kilobytes, place)
    run_here(program, arguments, log)


def mount_tmpfs(kilobytes: int, place: pathlib.Path) -> None:
    """Mounts a file system in memory for this process alone; needs the rights to mount.

    Raises:
      OSError: the rights are missing.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(0x20000):  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)


def full_disks(share: float) -> Iterator[Row]:
    """Every binary with an output folder of 64 kB, which is full before the binary is done."""
    with small_inputs() as (inputs, work):
        make_all_inputs(inputs)
        wrong = []
        names = [name for name in commands(inputs) if name not in LONG][:: max(1, round(1 / share))]
        for name in names:
            place = work / name
            place.mkdir()
            arguments = [*commands(inputs)[name], output_flag(name, place)]
            process = started(in_small_disk, 64, place, name, arguments, work / f"{name}.log")
            process.join()
            lines = (work / f"{name}.log").read_text().strip().splitlines()
            errors = [line for line in lines if line.startswith("error: ")]  # before what the process had yet to print
            told = len(errors) == 1 and "No space left on device" in errors[0] and "Traceback" not in "\n".join(lines)
            if process.exitcode != 0 and not told:
                wrong.append(f"{name}: {errors or lines[-1:]}")
    measured = f"{len(names) - len(wrong)} told or had room" + "".join(f"; {line}" for line in wrong[:3])
    yield Row("output folder of 64 kB", len(names), measured, "one line with `No space left on device`", not wrong)


def odd_places(share: float) -> Iterator[Row]:
    """A search and an embedding under other locales, without a home, with odd paths, and with a small /dev/shm."""
    environments: dict[str, tuple[Mapping[str, str | None], str]] = {
        "LC_ALL=C": ({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "out"),
        "no HOME": ({"HOME": None, "TFNAS_CACHE_DIR": None}, "out"),
        "unicode in the path": ({}, "Größe 結果"),
        "a newline in the path": ({}, "a\nb"),
    }
    with small_inputs() as (inputs, work):
        for title, (changes, name) in environments.items():
            folder = work / title / name
            folder.mkdir(parents=True)
            wrong = []
            for run in ("search --workers=2", "embed_corpus"):
                environment = {key: value for key, value in {**os.environ, **changes}.items() if value is not None}
                command = [sys.executable, "-m", f"trainers.{RUNS[run].program}"]
                arguments = RUNS[run].command(inputs, folder / RUNS[run].program)
                done = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True)
                if done.returncode:
                    wrong.append(f"{run}: {done.stderr.decode(errors='replace').strip().splitlines()[-1:]}")
            yield Row(title, 2, f"{2 - len(wrong)} ran" + "".join(f"; {line}" for line in wrong), "all run", not wrong)
        small = RUNS["search --workers=2"]
        arguments = small.command(inputs, work / "small shm")
        process = started(in_small_disk, 64, pathlib.Path("/dev/shm"), small.program, arguments, work / "log")
        process.join()
        last = (work / "log").read_text().strip().splitlines()[-1:]
        yield Row("/dev/shm of 64 kB", 1, f"exit code {process.exitcode}, {last}", "runs", process.exitcode == 0)

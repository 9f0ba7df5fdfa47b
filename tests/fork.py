"""Runs binaries in forks of a process that has imported TensorFlow already, which saves each of them some seconds."""

import contextlib
import functools
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from multiprocessing import connection, context

ROOT = pathlib.Path(__file__).parents[1]


@functools.cache
def server() -> context.ForkServerContext:
    """What starts the forks."""
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(["tests.preloaded"])
    return started


def run_here(
    program: str,
    arguments: list[str],
    output: connection.Connection | pathlib.Path,
    errors: pathlib.Path | None = None,
) -> None:
    """Runs a binary in this process, a fork; what it prints goes to `output`, errors elsewhere if a file is given."""
    if isinstance(output, pathlib.Path):
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    else:
        descriptor = output.fileno()
    os.dup2(descriptor, 1)
    if errors is not None:
        os.close(descriptor)
        descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.chdir(ROOT)
    sys.argv = [program, *arguments]
    runpy.run_module(f"trainers.{program}", run_name="__main__")


_SECONDS = 300
_FRESH = ("build_corpus", "convert_benchmark")
"""Binaries that start joblib's processes, which don't end in a fork."""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    """A binary's exit code and what it printed."""
    if program in _FRESH:
        command = [sys.executable, "-m", f"trainers.{program}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = server().Process(
            target=run_here, args=(program, list(arguments), folder / "output", folder / "errors")
        )
        process.start()
        process.join(_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        output, errors = ((folder / name).read_text() for name in ("output", "errors"))
    return subprocess.CompletedProcess([program, *arguments], process.exitcode, output, errors)

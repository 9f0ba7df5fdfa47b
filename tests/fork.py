"""Runs binaries in forks of a process that has imported TensorFlow already, which saves each of them some seconds."""

import contextlib
import functools
import multiprocessing
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing import connection, context
from typing import Any, NoReturn

ROOT = pathlib.Path(__file__).parents[1]
_SECONDS = 300


@functools.cache
def server() -> context.ForkServerContext:
    """What starts the forks."""
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(["tests.preloaded"])
    return started


def module_of(program: str) -> tuple[str, ...]:
    """The module that runs a program, and the words before its flags.

    Args:
      program: a binary of `trainers`, such as "search", or "reproductions PAPER".
    """
    module, *words = program.split()
    return module if (ROOT / module).is_dir() else f"trainers.{module}", *words


def run_here(
    program: str,
    arguments: list[str],
    output: connection.Connection | pathlib.Path,
    errors: pathlib.Path | None = None,
) -> NoReturn:
    """Runs a binary in this process, a fork, and ends the process.

    Args:
      program: program as `module_of` takes it.
      arguments: flags.
      output: pipe or file of the standard output.
      errors: file of the standard error; by default the output.
    """
    module, *words = module_of(program)
    sys.argv = [module, *words, *arguments]
    call_here(functools.partial(runpy.run_module, module, run_name="__main__"), output, errors)


def call_here(
    function: Callable[[], Any], output: connection.Connection | pathlib.Path, errors: pathlib.Path | None = None
) -> NoReturn:
    """Calls a function in this process, a fork, and ends the process.

    The end does not wait for other processes: joblib ends its workers when an interpreter ends, but not in a fork.
    """
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
    # The streams of the fork server may have been of another kind, such as a file that seeks.
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell turns off in the background
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # which `tfnas.processes` blocks in all forks
    os.chdir(ROOT)
    code = 1
    try:
        function()
        code = 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        else:
            code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    """A binary's exit code and what it printed."""
    return _finished(run_here, program, list(arguments))


def call(function: Callable[..., Any], *arguments: Any) -> subprocess.CompletedProcess:
    """Exit code of a process that calls an importable function, and what it printed."""
    return _finished(call_here, functools.partial(function, *arguments))


def _finished(target: Callable[..., NoReturn], *arguments: Any) -> subprocess.CompletedProcess:
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = server().Process(target=target, args=(*arguments, folder / "output", folder / "errors"))
        process.start()
        process.join(_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # itself if it hangs, and joblib's workers that it left
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        output, errors = ((folder / name).read_text() for name in ("output", "errors"))
    return subprocess.CompletedProcess(arguments, process.exitcode, output, errors)

"""Processes of this machine that work for a process, and end with it.

A terminal sends Ctrl-C to all its processes; workers do not hear it, and the process that they work for decides when
they end. Workers that need TensorFlow are forks of a process that has imported TensorFlow and not started it, so they
start at once.
"""

import abc
import collections
import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import connection, context, forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, Self

import joblib

from tfnas import preloading


class Work(abc.ABC):
    r"""Work on items, which is sent to workers as plain data. A worker enters it, calls it with items, and leaves it.

    Example:
      >>> class Written(Work):
      ...     def __init__(self, path):
      ...         self.path = path
      ...     def __enter__(self):
      ...         self.file = open(self.path, "a")
      ...         return self
      ...     def __exit__(self, *_):
      ...         self.file.close()
      ...     def __call__(self, item):
      ...         self.file.write(f"{item}\n")
      >>> with Written("/dev/null") as work:
      ...     work(21)
    """

    threads_share = False
    """Whether several threads may call the same entered work."""

    @abc.abstractmethod
    def __enter__(self) -> Self:
        """Opens what the items need."""

    @abc.abstractmethod
    def __exit__(self, *_: object) -> None:
        """Closes what was opened."""

    @abc.abstractmethod
    def __call__(self, item: Any) -> None:
        """Works on an item."""


def fork_server(module: str) -> context.ForkServerContext:
    """What starts workers; `begin_worker` is the first that a worker calls.

    Python has one fork server for all that a process starts: if this function is the first to need the server, SIGINT
    is blocked in every process that comes from it.

    Args:
      module: name of the module that workers need, imported once; the first call decides.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([preloading.__name__])
    os.environ[preloading.WANTED] = f"{os.getpid()} {module}"
    try:
        with _deaf_children():
            forkserver.ensure_running()
    finally:
        os.environ.pop(preloading.WANTED, None)
    return server


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Lets processes that this thread starts inherit that SIGINT is blocked; the thread hears it after the block."""
    resource_tracker.ensure_running()  # which allows SIGINT when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def results(calls: Iterable[Any], workers: int = -1) -> Iterator[Any]:
    """Results of calls in order, computed by processes of joblib.

    A process takes seconds to start, so that this process does one or two calls itself.

    Args:
      calls: functions with arguments, as `joblib.delayed` makes them.
      workers: number of processes, which the results do not depend on; by default one per processor.
    """
    calls = list(calls)
    if len(calls) < 3:
        workers = 1
    with _deaf_children():
        return joblib.Parallel(n_jobs=workers, return_as="generator")(calls)


def begin_worker() -> None:
    """Lets this process, a worker, and processes that it starts end as soon as the process it works for is gone."""
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os.killpg(0, signal.SIGKILL)), daemon=True).start()


def end_worker(process_id: int) -> None:
    """Ends a worker and processes that it has started, whatever they are at."""
    for kill in (os.killpg, os.kill):  # a worker leads no group before it has begun
        with contextlib.suppress(ProcessLookupError):
            kill(process_id, signal.SIGKILL)


def for_each(work: Work, items: Sequence[Any], workers: int) -> None:
    """Gives every item to some worker.

    Args:
      work: work on an item.
      items: items; workers take them in order.
      workers: number of workers.

    Raises:
      ChildProcessError: a worker died.
      Exception: first error of `work`; workers end without finishing their items then, and on an interruption too.
    """
    server = fork_server(type(work).__module__)
    waiting = collections.deque(items)
    processes: list[BaseProcess] = []
    busy: dict[connection.Connection, BaseProcess] = {}
    try:
        for _ in range(min(workers, len(items))):
            pipe, other_end = server.Pipe()
            process = server.Process(target=_serve, args=(work, other_end))
            process.start()
            other_end.close()
            processes.append(process)
            busy[pipe] = process
            _send(pipe, waiting.popleft())
        while busy:
            for pipe in connection.wait(list(busy)):
                _raise_error(pipe, busy[pipe])
                if waiting:
                    _send(pipe, waiting.popleft())
                else:
                    pipe.close()  # the worker leaves its work
                    del busy[pipe]
    except BaseException:
        for process in processes:
            end_worker(process.pid)
        raise
    finally:
        for process in processes:
            process.join()


def _send(pipe: connection.Connection, item: Any) -> None:
    """Sends an item to a worker; of a worker that is gone the end of its answers tells."""
    with contextlib.suppress(BrokenPipeError):
        pipe.send(item)


def _raise_error(pipe: connection.Connection, process: BaseProcess) -> None:
    """Raises the error of a worker that has answered or died, if there is one."""
    try:
        error = pipe.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise ChildProcessError(f"a worker died with exit code {process.exitcode}") from None
    if error is not None:
        raise error


def _serve(work: Work, pipe: connection.Connection) -> None:
    """Works on the items that come out of a pipe, and answers each with None, or an error, which is the last answer."""
    begin_worker()
    try:
        with work as entered:
            for item in _received(pipe):
                entered(item)
                pipe.send(None)
    except Exception as error:
        error.add_note(traceback.format_exc())
        pipe.send(error)


def _received(pipe: connection.Connection) -> Iterator[Any]:
    with contextlib.suppress(EOFError):
        while True:
            yield pipe.recv()

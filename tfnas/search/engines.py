"""Where architectures are trained when many are trained at once: processes of one machine, or a Ray cluster.

An engine keeps W workers, each with an evaluator of its own. Only the process that searches writes the trial log.
"""

import abc
import concurrent.futures
import contextlib
import functools
import os
import pkgutil
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from absl import logging

from tfnas import artefacts, processes, runtime
from tfnas.benchmarks.base import Evaluator, Score
from tfnas.benchmarks.trained.evaluator import TrainedEvaluator
from tfnas.errors import ConfigurationError
from tfnas.search.settings import ENGINES, WorkerSettings
from tfnas.search.watch import Watch
from tfnas.spaces import Architecture

Make = Callable[[], TrainedEvaluator]
"""Builds a worker's evaluator: an importable function, or a `functools.partial` of an importable function."""


class WorkerDied(Exception):
    """A worker's process is gone, and with it the trial that it was at."""


class Worker(Protocol):
    """A process somewhere that scores one architecture at a time."""

    def evaluate(self, architecture: str) -> Score:
        """The score of an architecture, as the space writes it; raises WorkerDied."""

    def close(self) -> None:
        """Ends the process, whatever it is at."""


class Engine(abc.ABC):
    """Scores architectures on W workers; a context manager, whose end is the end of the workers.

    A trial whose worker dies is issued once more, to a new worker. If that one dies too, the trial failed.

    Args:
      evaluator: evaluator that knows answers of earlier trials and remembers new answers.
      workers: W, the number of workers.

    Raises:
      ConfigurationError: `workers` is below 1.
    """

    def __init__(self, evaluator: TrainedEvaluator, workers: int):
        if workers < 1:
            raise ConfigurationError(f"workers={workers}, expected at least 1")
        self.evaluator, self.workers = evaluator, workers
        self._free: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        for _ in range(workers):
            self._free.put(None)
        self._running: set[Worker] = set()
        self._closed = False
        self._threads = concurrent.futures.ThreadPoolExecutor(workers)
        self._lock = threading.Lock()
        self._issued: dict[str, concurrent.futures.Future[Score]] = {}

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def start_worker(self) -> Worker:
        """A new worker, ready to score; raises what building its evaluator raises."""

    def submit(self, architecture: Architecture) -> "concurrent.futures.Future[Score]":
        """Has an architecture scored; isomorphic architectures are trained once."""
        key = self.evaluator.space.canonical_hash(architecture)
        if key not in self._issued:
            self._issued[key] = self._threads.submit(self._score, architecture)
        return self._issued[key]

    def close(self) -> None:
        """Ends all workers and drops the trials that they were at."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for worker in running:
            worker.close()
        self._threads.shutdown(cancel_futures=True)

    def _score(self, architecture: Architecture) -> Score:
        known = self.evaluator.known(architecture)
        if known is not None:
            return known
        worker, started = self._free.get(), time.perf_counter()
        try:
            for _ in range(2):
                worker = worker or self._start()
                try:
                    score = worker.evaluate(self.evaluator.space.write(architecture, "graph"))
                    break
                except WorkerDied as death:
                    runtime.hold_if_leaving()
                    self._forget(worker)
                    worker = None
                    logging.warning("a worker died (%s)", death)
            else:
                score = Score(0.0, 0.0, time.perf_counter() - started, "WorkerDied: two workers died of it")
        finally:
            self._free.put(worker)
        return self.evaluator.remember(architecture, score)

    def _start(self) -> Worker:
        worker = self.start_worker()
        with self._lock:
            self._running.add(worker)
            closed = self._closed
        if closed:
            worker.close()
            raise concurrent.futures.CancelledError
        return worker

    def _forget(self, worker: Worker) -> None:
        with self._lock:
            self._running.discard(worker)
            if self._closed:
                raise concurrent.futures.CancelledError
        worker.close()


class ProcessEngine(Engine):
    """Workers are processes of this machine.

    Args:
      evaluator: evaluator of `Engine`.
      workers: W, the number of workers; each trains on one thread.
      make: function that builds a worker's evaluator.
    """

    def __init__(self, evaluator: TrainedEvaluator, workers: int, make: Make):
        super().__init__(evaluator, workers)
        self._make = make

    def start_worker(self) -> Worker:
        return _ProcessWorker(self._make)


class _ProcessWorker:
    """A pool of a single process: its death breaks no other worker's pool."""

    def __init__(self, make: Make):
        server = processes.fork_server(TrainedEvaluator.__module__)
        self._pool = concurrent.futures.ProcessPoolExecutor(1, server)
        try:
            self.pid = self._pool.submit(_begin, make).result()
        except BrokenProcessPool as error:
            raise ConfigurationError("a worker died before its first trial") from error
        except BaseException:
            self._pool.shutdown(wait=False)
            raise

    def evaluate(self, architecture: str) -> Score:
        try:
            return self._pool.submit(_evaluate, architecture).result()
        except (BrokenProcessPool, RuntimeError) as error:  # RuntimeError: the pool was closed meanwhile
            raise WorkerDied(f"process {self.pid}") from error

    def close(self) -> None:
        processes.end_worker(self.pid)
        self._pool.shutdown(wait=False, cancel_futures=True)


_worker_evaluator: TrainedEvaluator


def _begin(make: Make) -> int:
    """Prepares a worker; returns its process number."""
    global _worker_evaluator
    processes.begin_worker()
    runtime.one_thread_per_operation()
    _worker_evaluator = make()
    return os.getpid()


def _evaluate(architecture: str) -> Score:
    return _score_of(_worker_evaluator, architecture)


def _score_of(evaluator: TrainedEvaluator, architecture: str) -> Score:
    return evaluator.query([evaluator.space.read(architecture, "graph")])[0]


class RayEngine(Engine):
    """Workers are actors of a Ray cluster.

    Args:
      evaluator: evaluator of `Engine`.
      workers: W, the number of workers.
      make: function that builds a worker's evaluator; its data must lie under the same path on every machine.
      address: address of the cluster; None starts a cluster on this machine.
      gpus: GPUs, or shares of a GPU, that a worker needs.

    Raises:
      ConfigurationError: Ray is not installed, or there is no such cluster.
    """

    def __init__(
        self, evaluator: TrainedEvaluator, workers: int, make: Make, *, address: str | None = None, gpus: float = 0.0
    ):
        try:
            import ray
        except ImportError as error:
            raise ConfigurationError("the engine 'ray' needs the package ray: pip install tfnas[ray]") from error
        super().__init__(evaluator, workers)
        try:
            if not ray.is_initialized():
                alone = {} if address else {"num_cpus": workers, "include_dashboard": False}
                ray.init(address=address, log_to_driver=False, **alone)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigurationError(f"no Ray cluster at {address} ({str(error).splitlines()[0]})") from error
        self._start_actor = functools.partial(_RayWorker, ray, make, gpus)

    def start_worker(self) -> Worker:
        return self._start_actor()


class _RayWorker:
    def __init__(self, ray: Any, make: Make, gpus: float):
        self._ray = ray
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor).remote()
        try:
            ray.get(self._actor.begin.remote(make))
        except ray.exceptions.RayActorError as error:
            raise ConfigurationError("a worker died before its first trial") from error
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error

    def evaluate(self, architecture: str) -> Score:
        try:
            return self._ray.get(self._actor.evaluate.remote(architecture))
        except self._ray.exceptions.RayActorError as error:
            raise WorkerDied(str(error).splitlines()[0]) from error

    def close(self) -> None:
        self._ray.kill(self._actor)


class _Actor:
    """The object that runs in a Ray worker."""

    def begin(self, make: Make) -> None:
        runtime.one_thread_per_operation()
        self._evaluator = make()

    def evaluate(self, architecture: str) -> Score:
        return _score_of(self._evaluator, architecture)


def check(settings: WorkerSettings, evaluator: Evaluator) -> None:
    """Lets an evaluator that trains keep its trainings in the log of the settings, if the settings name one.

    Raises:
      ConfigurationError: the settings name workers or a log of trainings for a benchmark that trains nothing.
      CorruptArtefactError: the log is damaged, or the file is no log.
      MismatchError: the log is of other trainings.
    """
    if not isinstance(evaluator, TrainedEvaluator):
        if settings.workers or settings.trial_log:
            raise ConfigurationError("the benchmark trains nothing; drop --workers and --trial_log")
    elif settings.trial_log:
        evaluator.keep_in(settings.trial_log)


def keep_trials(settings: WorkerSettings, evaluator: Evaluator, default: artefacts.PathLike) -> None:
    """Lets an evaluator that trains keep its trainings in the default log, unless `check` opened another log."""
    if isinstance(evaluator, TrainedEvaluator) and not settings.trial_log:
        evaluator.keep_in(default)


def watch(settings: WorkerSettings, evaluator: Evaluator, queries: int) -> Watch:
    """Tells the user of a search that trains what it trains, and later what it costs; see `Watch`.

    Args:
      settings: number of the workers, and the log of trainings.
      evaluator: the benchmark.
      queries: number of queries of the whole search.
    """
    known = evaluator.logged if isinstance(evaluator, TrainedEvaluator) and not settings.trial_log else 0
    watcher = Watch(queries - known, settings.workers, evaluator.metric, runtime.say)
    if isinstance(evaluator, TrainedEvaluator):
        evaluator.watcher = watcher
        runtime.say(str(evaluator))
    return watcher


def start(
    settings: WorkerSettings, evaluator: TrainedEvaluator, make: Make
) -> contextlib.AbstractContextManager[Engine | None]:
    """The engine of some settings; None without workers, where the process that searches asks the evaluator itself.

    Args:
      settings: number and home of the workers.
      evaluator: evaluator that knows earlier trials and remembers new trials.
      make: function that builds a worker's evaluator.

    Raises:
      ConfigurationError: the engine can't start.
    """
    if not settings.workers:
        return contextlib.nullcontext()
    cluster = {"address": settings.ray_address, "gpus": settings.worker_gpus} if settings.engine == "ray" else {}
    engine = pkgutil.resolve_name(f"tfnas.search.{ENGINES[settings.engine]}")
    return engine(evaluator, settings.workers, make, **cluster)

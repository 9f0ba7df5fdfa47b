"""Independent jobs of an experiment in separate processes."""

import concurrent.futures
import multiprocessing
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(
    function: Callable[[Job], Result], jobs: Sequence[Job], description: str, workers: int | None = None
) -> list[Result]:
    """Runs a function on every job; the first exception ends the rest.

    Args:
      function: function at the top of a module; it may start TensorFlow.
      jobs: arguments of the function.
      description: text of the progress bar.
      workers: processes at the same time; by default a process per processor.

    Returns:
      The results in the order of the jobs.
    """
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context)
    with tqdm(total=len(jobs), desc=description, unit="job") as bar, pool:
        futures = [pool.submit(function, job) for job in jobs]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def folder_name(name: str) -> str:
    """Name of a job as the name of a folder."""
    return name.replace(", ", "_").replace(" ", "_")


def quiet(folder: pathlib.Path) -> None:
    """Sends this process's standard error to `folder/stderr.log`: bars of several processes can't be read."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stderr.log").open("ab") as log:
        os.dup2(log.fileno(), 2)

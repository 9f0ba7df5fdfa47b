"""Apache Beam pipelines whose every item leaves a file, so that an interrupted run goes on where it stopped."""

import builtins
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from tqdm import tqdm

from tfnas import errors

LOCAL_RUNNER = (
    "--runner=DirectRunner",
    "--direct_running_mode=multi_processing",
    "--default_sdk_harness_log_level=CRITICAL",
)


def run(
    items: Sequence[Any],
    work: beam.DoFn,
    finished: Callable[[], int],
    total: int,
    *,
    name: str,
    unit: str,
    num_workers: int,
    beam_options: Sequence[str] = (),
) -> None:
    """Gives every item to `work`, on some machine, and shows the progress.

    Args:
      items: items that are left to do.
      work: function that leaves a file for every item, which `finished` counts.
      finished: function that counts the finished items, earlier runs included.
      total: number of all items.
      name: text of the progress bar.
      unit: name of an item in the progress bar.
      num_workers: processes of the local runner.
      beam_options: flags of another Beam runner, instead of the local runner.

    Raises:
      TfnasError, OSError: an error of `work`, on whichever machine.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors are raised
    options = list(beam_options) or [*LOCAL_RUNNER, f"--direct_num_workers={num_workers}"]
    if items:
        try:
            with _progress(finished, total, name, unit), beam.Pipeline(options=PipelineOptions(options)) as pipeline:
                pipeline | "Items" >> beam.Create(items) | "Spread" >> beam.Reshuffle() | name >> beam.ParDo(work)
        except RuntimeError as error:
            _raise_error_of_worker(error)
            raise


def _raise_error_of_worker(error: RuntimeError) -> None:
    """Raises a user's error of another process again; Beam passes on no more than the text of its traceback."""
    for line in reversed(str(error).splitlines()):
        match = re.match(r"(?:RuntimeError: )?(?:[\w.]+\.)?(\w+): (.*?)(?: \[while running .*)?$", line)
        kind = match and (getattr(errors, match[1], None) or getattr(builtins, match[1], None))
        if isinstance(kind, type) and issubclass(kind, (errors.TfnasError, OSError)):
            raise kind(match[2]) from error


@contextlib.contextmanager
def _progress(finished: Callable[[], int], total: int, name: str, unit: str) -> Iterator[None]:
    """A bar that counts finished items, whichever process finishes them."""
    done = threading.Event()

    def watch() -> None:
        with tqdm(total=total, desc=name, unit=unit) as bar:
            over = False
            while not over:
                over = done.wait(1.0)
                bar.update(finished() - bar.n)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()

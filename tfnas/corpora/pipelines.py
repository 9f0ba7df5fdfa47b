"""Apache Beam pipelines whose every item leaves a file, so that a run that was cut off goes on where it stopped."""

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
    """Gives every item to `work`, somewhere, and shows how far that is.

    Args:
      items: what is left to do.
      work: leaves a file for every item, where `finished` finds it.
      finished: how many items are done, earlier runs included.
      total: how many there are.
      name: what the bar says.
      unit: of an item.
      num_workers: processes of the local runner.
      beam_options: flags of another Beam runner, instead of the local one.

    Raises:
      TfnasError, OSError: what `work` raised, wherever it ran.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors are raised, nobody asked for the rest
    options = list(beam_options) or [*LOCAL_RUNNER, f"--direct_num_workers={num_workers}"]
    if items:
        try:
            with _progress(finished, total, name, unit), beam.Pipeline(options=PipelineOptions(options)) as pipeline:
                pipeline | "Items" >> beam.Create(items) | "Spread" >> beam.Reshuffle() | name >> beam.ParDo(work)
        except RuntimeError as error:
            _raise_what_it_tells(error)
            raise


def _raise_what_it_tells(error: RuntimeError) -> None:
    """Raises the error of another process, of which Beam has the traceback's text, if it is one for users."""
    for line in reversed(str(error).splitlines()):
        found = re.match(r"(?:RuntimeError: )?(?:[\w.]+\.)?(\w+): (.*?)(?: \[while running .*)?$", line)
        kind = found and (getattr(errors, found[1], None) or getattr(builtins, found[1], None))
        if isinstance(kind, type) and issubclass(kind, (errors.TfnasError, OSError)):
            raise kind(found[2]) from error


@contextlib.contextmanager
def _progress(finished: Callable[[], int], total: int, name: str, unit: str) -> Iterator[None]:
    """A bar that counts outcomes, whoever makes them."""
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

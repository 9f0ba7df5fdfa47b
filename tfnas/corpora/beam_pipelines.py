"""Work on an Apache Beam runner, such as Flink, Spark or Dataflow."""

import builtins
import logging
import re
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from tfnas import errors, processes


def run(items: Sequence[Any], work: processes.Work, name: str, options: Sequence[str]) -> None:
    """Gives every item to `work`.

    Args:
      items: items.
      work: work on an item.
      name: name of the step.
      options: flags of the runner.

    Raises:
      TfnasError, OSError: an error of `work`, on whichever machine.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors are raised
    try:
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            pipeline | "Items" >> beam.Create(items) | "Spread" >> beam.Reshuffle() | name >> beam.ParDo(_Calls(work))
    except RuntimeError as error:
        _raise_error_of_worker(error)
        raise


class _Calls(beam.DoFn):
    """Calls work with items."""

    def __init__(self, work: processes.Work):
        self._work, self._shared = work, Shared()

    def setup(self) -> None:
        share = self._work.threads_share
        self._entered = self._shared.acquire(self._work.__enter__) if share else self._work.__enter__()

    def process(self, item: Any) -> None:
        self._entered(item)

    def teardown(self) -> None:
        if not self._work.threads_share:
            self._work.__exit__(None, None, None)


def _raise_error_of_worker(error: RuntimeError) -> None:
    """Raises a user's error of another process again; Beam passes on no more than the text of its traceback."""
    for line in reversed(str(error).splitlines()):
        match = re.match(r"(?:RuntimeError: )?(?:[\w.]+\.)?(\w+): (.*?)(?: \[while running .*)?$", line)
        kind = match and (getattr(errors, match[1], None) or getattr(builtins, match[1], None))
        if isinstance(kind, type) and issubclass(kind, (errors.TfnasError, OSError)):
            raise kind(match[2]) from error

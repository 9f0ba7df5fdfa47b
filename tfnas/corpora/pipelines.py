"""Work whose every item leaves a file, so that an interrupted run goes on where it stopped: here or on a cluster."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tqdm import tqdm

from tfnas import processes


def run(
    items: Sequence[Any],
    work: processes.Work,
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
      work: work that leaves a file for every item, which `finished` counts.
      finished: function that counts the finished items, earlier runs included.
      total: number of all items.
      name: text of the progress bar.
      unit: name of an item in the progress bar.
      num_workers: processes of this machine.
      beam_options: flags of an Apache Beam runner, which works instead of processes of this machine.

    Raises:
      TfnasError, OSError: an error of `work`, on whichever machine, or a worker that died.
    """
    if not items:
        return
    with _progress(finished, total, name, unit):
        if beam_options:
            from tfnas.corpora import beam_pipelines

            beam_pipelines.run(items, work, name, beam_options)
        else:
            processes.for_each(work, items, num_workers)


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

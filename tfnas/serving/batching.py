"""Rows of many requests computed together: what arrives while a batch is computed makes the next batch."""

import asyncio
import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.serving.servable import Query
from tfnas.serving.signatures import Arrays, Signature


@dataclasses.dataclass(eq=False)
class _Job:
    """A request that waits for its rows.

    Attributes:
      query: request.
      future: list of the outputs of its batches.
      next: first row that is not computed yet.
      pieces: outputs of the rows before.
      abandoned: whether nobody waits for the answer any more.
    """

    query: Query
    future: asyncio.Future[list[Arrays]]
    next: int = 0
    pieces: list[Arrays] = dataclasses.field(default_factory=list)
    abandoned: bool = False


_Slice = tuple[_Job, int, int]
"""A job with the first of its rows in a batch, and the row after the last."""


class Batcher:
    """Calls a signature in a thread of its own.

    Requests take turns: a request with more rows than a batch goes to the end of the queue after each batch. Requests
    to a signature whose rows depend on each other are computed one after the other.

    Args:
      signature: signature.
      batch_rows: most rows in a batch.
      merge: whether a batch may hold rows of several requests.
      observe: function that is told the number of rows of every batch.
    """

    def __init__(self, signature: Signature, batch_rows: int, merge: bool, observe: Callable[[int], None]):
        self._signature = signature
        self._batch_rows = batch_rows
        self._merge = merge and signature.independent
        self._observe = observe
        self._jobs: collections.deque[_Job] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"tfnas {signature.name}", daemon=True)
        self._thread.start()

    async def __call__(self, query: Query) -> list[Arrays]:
        """Outputs of the batches that a request was cut into, in the order of its rows.

        Raises:
          ConfigurationError: TensorFlow refuses the values.
        """
        job = _Job(query, asyncio.get_running_loop().create_future())
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        try:
            return await job.future
        finally:
            job.abandoned = True

    def close(self) -> None:
        """Ends the thread as soon as the requests are answered that wait already."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if not self._jobs:
                    return
                slices = self._next_slices()
            if slices:
                self._deliver(self._computed(slices))

    def _next_slices(self) -> list[_Slice]:
        """Rows of the jobs that have waited longest, as many as fit."""
        slices: list[_Slice] = []
        room = self._batch_rows
        again = []
        while self._jobs and room and (self._merge or not slices):
            job = self._jobs.popleft()
            if job.abandoned:
                continue
            rows = job.query.rows
            stop = 1 if rows is None else min(rows, job.next + room)
            slices.append((job, job.next, stop))
            room -= stop - job.next
            job.next = stop
            if rows is not None and stop < rows:
                again.append(job)
        self._jobs.extend(again)
        return slices

    def _computed(self, slices: list[_Slice]) -> list[tuple[_Job, Exception | None]]:
        """The jobs that are done, after their slices were computed, each with the error that ended it."""
        inputs = [
            job.query.arrays if job.query.rows is None else job.query.cut(start, stop - start)
            for job, start, stop in slices
        ]
        batch = (
            inputs[0]
            if len(slices) == 1
            else {key: np.concatenate([arrays[key] for arrays in inputs]) for key in inputs[0]}
        )
        try:
            outputs = self._signature(batch)
        except ConfigurationError as error:
            if len(slices) > 1:  # a request must not fail for the rows of another request
                return [outcome for portion in slices for outcome in self._computed([portion])]
            ((job, start, _),) = slices
            return [(job, error if job.query.rows is None else self._signature.first_fault(batch, start))]
        except Exception as error:
            return [(job, error) for job, _, _ in slices]
        self._observe(sum(stop - start for _, start, stop in slices))
        position = 0
        done: list[tuple[_Job, Exception | None]] = []
        for job, start, stop in slices:
            piece = outputs
            if len(slices) > 1:
                piece = {key: value[position : position + stop - start] for key, value in outputs.items()}
                position += stop - start
            job.pieces.append(piece)
            if job.query.rows in (None, stop):
                done.append((job, None))
        return done

    def _deliver(self, done: list[tuple[_Job, Exception | None]]) -> None:
        """Hands the outcomes to the event loop, all at once."""
        for job, error in done:
            if error is not None:
                job.abandoned = True  # its other rows are not needed
        if done:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                done[0][0].future.get_loop().call_soon_threadsafe(_settle, done)


def _settle(done: list[tuple[_Job, Exception | None]]) -> None:
    for job, error in done:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(job.pieces)
        else:
            job.future.set_exception(error)

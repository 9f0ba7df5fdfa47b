"""Rows of many requests are computed together, take turns, and fail alone."""

import asyncio
import threading

import numpy as np
import pytest
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.serving.batching import Batcher
from tfnas.serving.servable import Query
from tfnas.serving.signatures import Signature


class Doubling(Signature):
    """Doubles its rows, refuses negative rows, and waits before its first call until it may go on."""

    def __init__(self, independent=True):
        self.name = "double"
        self.inputs = {"x": tf.TensorSpec([None, 1], tf.float32)}
        self.independent = independent
        self.batches = []
        self.started, self.go_on = threading.Event(), threading.Event()

    def __call__(self, arrays):
        x = arrays["x"]
        self.batches.append(x[:, 0].tolist())
        self.started.set()
        assert self.go_on.wait(10)
        if (x < 0).any():
            raise ConfigurationError("double: negative")
        return {"y": 2 * x}


def answered(signature, requests, **settings):
    """Outcomes of requests, all of which but the first arrive while the first is computed."""
    batcher = Batcher(signature, **{"batch_rows": 4, "merge": True, "observe": lambda rows: None} | settings)

    async def outcome(rows):
        try:
            pieces = await batcher(Query(signature, {"x": np.array(rows, np.float32)[:, None]}, True))
        except ConfigurationError as error:
            return str(error)
        return np.concatenate([piece["y"][:, 0] for piece in pieces]).tolist()

    async def all_of_them():
        first = asyncio.create_task(outcome(requests[0]))
        await asyncio.to_thread(signature.started.wait, 10)
        others = [asyncio.create_task(outcome(rows)) for rows in requests[1:]]
        await asyncio.sleep(0.01)
        signature.go_on.set()
        return await asyncio.gather(first, *others)

    outcomes = asyncio.run(all_of_them())
    batcher.close()
    return outcomes


def test_what_waits_is_computed_together():
    signature = Doubling()
    rows = []
    assert answered(signature, [[1], [2], [3, 4], [5]], observe=rows.append) == [[2], [4], [6, 8], [10]]
    assert signature.batches == [[1], [2, 3, 4, 5]]
    assert rows == [1, 4]


def test_a_long_request_takes_turns_with_short_ones():
    signature = Doubling()
    assert answered(signature, [[0], list(range(10, 16)), [1]]) == [[0], [20, 22, 24, 26, 28, 30], [2]]
    assert signature.batches == [[0], [10, 11, 12, 13], [1, 14, 15]]


def test_a_row_at_fault_fails_its_own_request():
    outcomes = answered(Doubling(), [[1], [2, 3], [4, -5], [6]])
    assert outcomes == [[2], [4, 6], "double: instance 1: negative", [12]]


def test_the_row_at_fault_is_counted_within_its_request():
    assert answered(Doubling(), [[1, 1, 1, 1, 1, 1, -1]]) == ["double: instance 6: negative"]


@pytest.mark.parametrize("settings", [{"merge": False}, {"independent": False}])
def test_requests_may_be_computed_alone(settings):
    signature = Doubling(settings.pop("independent", True))
    signature.batches.clear()
    outcomes = answered(signature, [[1], [2], [3]], **settings)
    assert outcomes == [[2], [4], [6]]
    assert signature.batches == [[1], [2], [3]]


def test_requests_that_nobody_waits_for_are_left_out():
    signature = Doubling()
    batcher = Batcher(signature, 4, True, lambda rows: None)

    async def ask(value):
        return await batcher(Query(signature, {"x": np.array([[value]], np.float32)}, True))

    async def given_up():
        first = asyncio.create_task(ask(1))
        await asyncio.to_thread(signature.started.wait, 10)
        second, third = asyncio.create_task(ask(2)), asyncio.create_task(ask(3))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        signature.go_on.set()
        await asyncio.gather(first, third)

    asyncio.run(given_up())
    batcher.close()
    assert signature.batches == [[1], [3]]


def test_a_failure_of_the_server_is_not_swallowed():
    class Broken(Doubling):
        def __call__(self, arrays):
            raise MemoryError("full")

    batcher = Batcher(Broken(), 4, True, lambda rows: None)
    with pytest.raises(MemoryError, match="full"):
        asyncio.run(batcher(Query(Doubling(), {"x": np.ones([1, 1])}, True)))
    batcher.close()

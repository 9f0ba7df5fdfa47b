"""What many clients get from the server, beside an echo and beside calls in one process."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator

import numpy as np

from perf.faults import bodies
from perf.faults.clients import Load, load
from perf.faults.processes import SHIPPED, Server, echoing, serving
from perf.faults.table import Row, scaled
from perf.results import Figure, record

_MODEL = "arch2vec_nasbench201"
_PATH = f"/v1/models/{_MODEL}:predict"
_CLIENTS = 200
_REQUESTS = 5000
_GAIN = 3.0
"""Least factor by which batches across requests must save processor time."""
_FLAT = 1.05


def _measured(server: Server, path: str, body: bytes, requests: int) -> tuple[Load, float]:
    """What the clients met, and milliseconds of processor time per request."""
    before = server.processor_seconds()
    outcome = load(server.port, path, body, clients=_CLIENTS, requests=requests)
    return outcome, (server.processor_seconds() - before) / len(outcome.seconds) * 1e3


def clients(share: float) -> Iterator[Row]:
    """5,000 requests of 200 clients, with and without batches across requests; an echo; calls in this process.

    The whole of the tries writes the section `serving` of `perf/results.json`.
    """
    from tfnas.serving import Servable

    requests = max(_CLIENTS, scaled(_REQUESTS, share))
    cell = bodies.dense_cell(SHIPPED / _MODEL)
    body = json.dumps({"instances": [cell]}).encode()
    costs: dict[str, float] = {}
    for name, flags in (("batches", ()), ("no batches", ("--batching=false",))):
        with serving(_MODEL, flags=["--log_requests=false", *flags]) as server:
            _measured(server, _PATH, body, requests // 4)  # the first calls of a model take longer
            before = server.memory_mb()
            outcome, costs[name] = _measured(server, _PATH, body, requests)
            measured = f"{outcome.errors} errors, {outcome}, {costs[name]:.2f} ms of processor time each"
            yield Row(f"{_CLIENTS} clients, {name}", requests, measured, "0 errors", not outcome.errors)
            if name == "batches":
                for _ in range(3):
                    _measured(server, _PATH, body, requests)
                grown = server.memory_mb() / before
                measured = f"{before:.0f} MB, x {grown:.3f} at the end"
                yield Row("memory under load", 4 * requests, measured, f"x {_FLAT}", grown < _FLAT)
    gain = costs["no batches"] / costs["batches"]
    measured = f"x {gain:.1f} requests per second of processor time"
    yield Row("batches against no batches", requests, measured, f"x {_GAIN:g}", gain >= _GAIN)
    with echoing() as server:
        _measured(server, "/echo", body, requests // 4)
        outcome, costs["FastAPI echo"] = _measured(server, "/echo", body, requests)
        measured = f"{outcome}, {costs['FastAPI echo']:.2f} ms of processor time each"
        yield Row(f"{_CLIENTS} clients, FastAPI echo", requests, measured)
    servable = Servable(SHIPPED / _MODEL)
    count = scaled(1000, share)
    servable.predict(body)
    seconds, start = [], time.process_time()
    for _ in range(count):
        begin = time.perf_counter()
        servable.predict(body)
        seconds.append(time.perf_counter() - begin)
    costs["calls in one process"] = (time.process_time() - start) / count * 1e3
    outcome = Load(np.array(seconds), 0, sum(seconds))
    measured = f"{outcome}, {costs['calls in one process']:.2f} ms of processor time each"
    yield Row("calls in one process, in turn", count, measured)
    if share == 1:
        work, unit = f"requests for one cell of {_MODEL}, {_CLIENTS} clients", "requests per CPU-second"
        figures = [Figure(work, name, (1e3 / cost,), unit) for name, cost in costs.items()]
        with contextlib.redirect_stdout(sys.stderr):  # the standard output is the table of faults
            record("serving", figures, {"requests": requests, "command": "python -m perf.faults --only=server_load"})

"""What requests can do to the server."""

import collections
import random
from collections.abc import Iterator

import requests

from perf.faults import bodies
from perf.faults.mutations import mutated
from perf.faults.processes import SHIPPED, serving
from perf.faults.table import Row, scaled
from tfnas import saved_models

_MODEL = "arch2vec_nasbench201"
_FLAT = 1.05
"""Most that memory may grow, as a factor, once every signature was asked."""


def mutations(share: float) -> Iterator[Row]:
    """2,000 damaged requests to every signature of every shipped model."""
    models = saved_models.shipped_names()
    tries = scaled(2000, share)
    rng = random.Random(0)
    with serving(*models) as server:
        session = requests.Session()
        valid = {name: bodies.requests_of(SHIPPED / name) for name in models}
        answers = {}
        for name, signatures in valid.items():
            for signature, body in signatures.items():
                answer = session.post(server.predict_url(name), json=body, timeout=60)
                if not answer.ok:
                    raise RuntimeError(f"{name} {signature}: {answer.text}")
                answers[name, signature] = answer.json()
        warm = None
        for name, signatures in valid.items():
            statuses: collections.Counter[int] = collections.Counter()
            for body in signatures.values():
                for _ in range(tries):
                    content = mutated(body, rng)
                    try:
                        answer = session.post(server.predict_url(name), data=content, timeout=60)
                    except requests.RequestException as error:
                        raise RuntimeError(f"{name}: {error!r} after {content[:500]!r}; {server.alive()}") from error
                    statuses[answer.status_code] += 1
            measured = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
            failures = sum(count for status, count in statuses.items() if status >= 500)
            yield Row(f"damaged requests, {name}", tries * len(signatures), measured, "0 x 5xx", not failures)
            warm = warm or server.memory_mb()
        same = all(
            session.post(server.predict_url(name), json=body, timeout=60).json() == answers[name, signature]
            for name, signatures in valid.items()
            for signature, body in signatures.items()
        )
        yield Row("valid requests afterwards", len(answers), "same answers" if same else "other answers", "same", same)
        grown = server.memory_mb() / warm
        measured = f"{warm:.0f} MB after the first model, x {grown:.2f} after the last"
        yield Row("memory over damaged requests", 1, measured, f"x {_FLAT}", grown < _FLAT)
        log = server.log.read_text()
        yield Row("tracebacks in the log", 1, str(log.count("Traceback")), "0", "Traceback" not in log)


def oversized_bodies(share: float) -> Iterator[Row]:
    """Bodies of more bytes than are allowed."""
    tries = scaled(10, share)
    with serving(_MODEL) as server:
        content = b"1," * (33 << 20)
        statuses = {
            requests.post(server.predict_url(_MODEL), data=content, timeout=60).status_code for _ in range(tries)
        }
        held = statuses == {413} and server.alive()
        yield Row("body of 66 MiB", tries, f"status {', '.join(map(str, sorted(statuses)))}", "413, alive", held)

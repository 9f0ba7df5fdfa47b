"""What is told of every request: a line of JSON in the log, and figures for Prometheus."""

import asyncio
import logging
import time
from typing import Any

import msgspec

from tfnas.serving.metrics import REQUESTS, SECONDS

access_log = logging.getLogger("tfnas.serving.access")

CLIENT_CLOSED_REQUEST = 499
"""Status in the log of a request whose client went away, as nginx writes it."""


class Monitoring:
    """ASGI middleware that counts requests, times them, and logs a line of JSON for each.

    Args:
      app: ASGI application.
    """

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status, sent_bytes = 0, 0

        async def observed(message: Any) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except asyncio.CancelledError:  # the time of the shutdown is over
            if not status:
                await _unavailable(observed)
        finally:
            _tell(scope, status or 500, sent_bytes, time.perf_counter() - start)


def _tell(scope: Any, status: int, sent_bytes: int, seconds: float) -> None:
    """Counts a request and logs a line on it."""
    endpoint = scope.get("endpoint")
    route = getattr(endpoint, "__name__", "none")
    REQUESTS.labels(route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)
    line = {
        "time": round(time.time(), 3),
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "sent_bytes": sent_bytes,
        "seconds": round(seconds, 6),
    }
    access_log.info("%s", msgspec.json.encode(line).decode())


_SHUTDOWN = b'{"error":"the server ends"}'
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_SHUTDOWN)).encode()),
    (b"connection", b"close"),
]


async def _unavailable(send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _SHUTDOWN})

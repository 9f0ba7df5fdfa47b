"""HTTP/1.1 on a connection, with bounds on the time and the size of what a client sends."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEADER_BYTES = 1 << 16
_GRACE_SECONDS = 1.0
"""After which a request is cut off that the application has not answered in time."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed if a request does not arrive within `read_seconds`, or if its head is too long.

    Attributes:
      read_seconds: longest time in seconds from the opening of a connection to a request's first byte, and from there
        to its last byte.
    """

    read_seconds = 30.0
    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and self._header_bytes > _MOST_HEADER_BYTES:
            self.send_400_response("The head of the request is too long.")
            return
        self._header_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._start()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop()
        self._in_head, self._header_bytes = True, 0
        super().on_message_complete()

    def _start(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self.read_seconds + _GRACE_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded(read_seconds: float) -> type[BoundedProtocol]:
    """The protocol with a bound on the time in which a request must arrive."""
    return type("BoundedProtocol", (BoundedProtocol,), {"read_seconds": read_seconds})

"""Bodies of requests, read within bounds on their size, their time, and the memory that all of them hold."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from tfnas.errors import TfnasError
from tfnas.serving.limits import Limits
from tfnas.serving.metrics import WAITING_BYTES
from tfnas.serving.requests import RequestTooLargeError


class BusyError(TfnasError):
    """The server holds as many bodies as it may."""


class Bodies:
    """Reads bodies and counts the bytes of those that are held.

    Args:
      limits: bounds on requests.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytearray]:
        """The body of a request, which counts as held until the block ends.

        Raises:
          RequestTooLargeError: more bytes than a request may have.
          BusyError: more bytes than all requests together may have.
          TimeoutError: the body does not arrive in time.
          starlette.requests.ClientDisconnect: the client went away.
        """
        content = bytearray()
        try:
            self._check(int(request.headers.get("content-length", 0)))
            async with asyncio.timeout(self._limits.read_seconds):
                async for chunk in request.stream():
                    self._check(len(content) + len(chunk), len(chunk))
                    content += chunk
                    self._hold(len(chunk))
            yield content
        finally:
            self._hold(-len(content))

    def _check(self, size: int, more: int | None = None) -> None:
        if size > self._limits.request_mib << 20:
            raise RequestTooLargeError(
                f"the request: {size} bytes or more, expected at most {self._limits.request_mib} MiB"
            )
        if self._waiting + (size if more is None else more) > self._limits.waiting_mib << 20:
            raise BusyError("the server holds too many requests; try again")

    def _hold(self, count: int) -> None:
        self._waiting += count
        WAITING_BYTES.set(self._waiting)

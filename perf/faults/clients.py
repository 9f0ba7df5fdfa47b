"""Many clients at a time, each with a connection of its own that it keeps."""

import asyncio
import dataclasses
import re
import time

import numpy as np


@dataclasses.dataclass(frozen=True)
class Load:
    """What some clients met.

    Attributes:
      seconds: seconds of every request, in no order.
      errors: number of requests without status 200.
      elapsed: seconds from the first request to the last answer.
    """

    seconds: np.ndarray
    errors: int
    elapsed: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.seconds) / self.elapsed

    def __str__(self) -> str:
        middle, late = np.percentile(self.seconds, [50, 99]) * 1e3
        return f"{self.rate:.0f}/s, median {middle:.0f} ms, p99 {late:.0f} ms"


async def _client(port: int, request: bytes, count: int, seconds: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    errors = 0
    for _ in range(count):
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
        seconds.append(time.perf_counter() - start)
        errors += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return errors


def load(port: int, path: str, body: bytes, *, clients: int, requests: int) -> Load:
    """Sends equal requests from many clients, each of which waits for its answer before it asks again.

    Args:
      port: port of the server.
      path: path of the URL.
      body: body of every request.
      clients: number of clients.
      requests: number of requests of all clients together.
    """
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    seconds: list[float] = []

    async def run() -> list[int]:
        each = max(1, requests // clients)
        return await asyncio.gather(*[_client(port, head.encode() + body, each, seconds) for _ in range(clients)])

    start = time.perf_counter()
    errors = sum(asyncio.run(run()))
    return Load(np.array(seconds), errors, time.perf_counter() - start)

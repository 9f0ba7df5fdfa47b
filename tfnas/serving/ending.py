"""The end of a server's process, which comes in time whatever the threads of the process do."""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import uvicorn

_GRACE_SECONDS = 1.0
"""Time after the graceful shutdown in which clients are told that their requests were cut off."""
_INTERRUPTED = 128 + signal.SIGINT


class EndingServer(uvicorn.Server):
    """A server of uvicorn whose process ends with it.

    Requests are finished within `timeout_graceful_shutdown` after SIGTERM or SIGINT. The process then ends without a
    word to its threads, among them threads that still parse a body, compute an answer or load a version: an
    interpreter would wait for those threads. A process that a thread holds up ends a second later, by a clock that does
    not depend on the interpreter. A second SIGINT ends the process at once.

    The exit code is 0 after SIGINT, 130 after a second SIGINT, and 1 if the process was held up; SIGTERM ends the
    process as SIGTERM does by default.

    Args:
      config: configuration with a `timeout_graceful_shutdown`.
    """

    def __init__(self, config: uvicorn.Config):
        super().__init__(config)
        self._signal: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the shutdown, or ends the process if SIGINT comes again."""
        if self.should_exit and sig == signal.SIGINT:
            os._exit(_INTERRUPTED)
        if self._signal is None:
            self._signal = sig
            seconds = (self.config.timeout_graceful_shutdown or 0) + _GRACE_SECONDS
            # The clock writes tracebacks before it ends the process.
            faulthandler.dump_traceback_later(seconds, exit=True, file=os.open(os.devnull, os.O_WRONLY))
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finishes requests, and tells the clients of those that are cut off."""
        await super().shutdown(sockets)
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=_GRACE_SECONDS / 2)
            await asyncio.sleep(0.1)  # in which the answers are written

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles SIGTERM and SIGINT for the time of a block, after which the process ends if one of them came."""
        with super().capture_signals():
            yield
            if self._signal is not None:
                _end(self._signal)


def _end(sig: int) -> NoReturn:
    """Ends this process and waits for nothing but its output."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if sig != signal.SIGINT:
        signal.signal(sig, signal.SIG_DFL)
        signal.raise_signal(sig)
    os._exit(0)

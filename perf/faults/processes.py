"""Processes that faults are injected into: the server, started as its user starts it."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "saved_models"


class Server:
    """A running `tfnas serve`.

    Attributes:
      model: name of the model.
      port: port that it listens at.
      address: start of its URLs.
      process: process.
      log: file of its standard output and error.
    """

    def __init__(self, model: str, port: int, process: subprocess.Popen, log: pathlib.Path):
        self.model = model
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.process = process
        self.log = log

    def memory_mb(self) -> float:
        """Resident memory in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def alive(self) -> bool:
        """Whether the process runs and answers."""
        return self.process.poll() is None and requests.get(f"{self.address}/v1/models/{self.model}", timeout=60).ok


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def serving(model: str, log: pathlib.Path, *flags: str) -> Iterator[Server]:
    """Runs a server of a shipped model for the time of a block.

    Args:
      model: name of the shipped model.
      log: file of the server's output.
      *flags: further flags.
    """
    port = free_port()
    command = [sys.executable, "-m", "trainers.serve", f"--model={SHIPPED / model}", f"--port={port}", *flags]
    with log.open("wb") as output:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=environment)
    server = Server(model, port, process, log)
    try:
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if server.alive():
                    break
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()

"""Processes that faults are injected into: the server, started as its user starts it."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import psutil
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "saved_models"


class Server:
    """A running server.

    Attributes:
      port: port that it listens at.
      address: start of its URLs.
      process: process.
      log: file of its standard output and error.
    """

    def __init__(self, port: int, process: subprocess.Popen, log: pathlib.Path):
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.process = process
        self.log = log

    def memory_mb(self) -> float:
        """Resident memory in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def processor_seconds(self) -> float:
        """Processor time in seconds."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def predict_url(self, model: str) -> str:
        """URL of the predict requests of a model."""
        return f"{self.address}/v1/models/{model}:predict"

    def alive(self) -> bool:
        """Whether the process runs and answers."""
        try:
            return self.process.poll() is None and requests.get(f"{self.address}/healthz", timeout=60).ok
        except requests.ConnectionError:
            return False


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def serving(*models: str, flags: Sequence[str] = ()) -> contextlib.AbstractContextManager[Server]:
    """Runs a server of shipped models for the time of a block.

    Args:
      *models: names of the shipped models.
      flags: further flags.
    """
    port = free_port()
    return _running(port, "trainers.serve", f"--port={port}", *(f"--model={model}" for model in models), *flags)


def echoing() -> contextlib.AbstractContextManager[Server]:
    """Runs `perf.faults.echo` for the time of a block."""
    port = free_port()
    return _running(port, "perf.faults.echo", str(port))


@contextlib.contextmanager
def _running(port: int, module: str, *arguments: str) -> Iterator[Server]:
    """Runs a module that serves at a port for the time of a block."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        with log.open("wb") as output:
            environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=environment)
        server = Server(port, process, log)
        try:
            while not server.alive():
                if process.poll() is not None:
                    raise RuntimeError(f"the server ended: {log.read_text()[-3000:]}")
                time.sleep(0.1)
            yield server
        finally:
            process.kill()
            process.wait()

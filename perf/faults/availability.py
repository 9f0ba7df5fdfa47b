"""What slow, large and broken-off requests do to other clients, to the memory, and to the end of the server."""

import contextlib
import functools
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import requests

from perf.faults.processes import Server, serving
from perf.faults.table import Row, scaled

_MODEL = "arch2vec_nasbench201"
_JACOBIANS = "jacobian_encoder"
_MOST_SECONDS = 1.0
"""Longest wait for the status while large bodies arrive."""
_MOST_MB = 2000
_MOST_GROWTH = 1.5
_SHUTDOWN_SECONDS = 3
_HALF = b"POST /v1/models/%s:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"


def large_bodies(share: float) -> Iterator[Row]:
    """Bodies of nearly 32 MiB from four clients, while another client asks for the status."""
    tries = scaled(40, share)
    contents = {
        "Jacobians": _jacobians(),
        "small integers": b'{"inputs": [' + b"1," * (15 << 20) + b"1]}",
        "brackets": b'{"inputs": ' + b"[" * (30 << 20) + b"}",
        "empty lists": b'{"inputs": [' + b"[]," * (10 << 20) + b"1]}",
        "a string": b'{"signature_name": "embed", "inputs": "' + b"x" * (30 << 20) + b'"}',
    }
    with serving(_JACOBIANS, _MODEL) as server:
        address = f"{server.address}/v1/models/{_JACOBIANS}"
        first = requests.post(f"{address}:predict", data=contents["Jacobians"], timeout=300)
        first.raise_for_status()
        before = server.memory_mb()
        for name, content in contents.items():
            statuses: list[int] = []

            def send(content: bytes = content, statuses: list[int] = statuses) -> None:
                for _ in range(max(1, tries // 4)):
                    statuses.append(requests.post(f"{address}:predict", data=content, timeout=300).status_code)

            senders = [threading.Thread(target=send) for _ in range(4)]
            for sender in senders:
                sender.start()
            waits, peak = [], 0.0
            while any(sender.is_alive() for sender in senders):
                start = time.perf_counter()
                requests.get(address, timeout=60).raise_for_status()
                waits.append(time.perf_counter() - start)
                peak = max(peak, server.memory_mb())
                time.sleep(0.02)
            answers = ", ".join(f"{statuses.count(status)} x {status}" for status in sorted(set(statuses)))
            late = float(np.percentile(waits, 99))
            measured = f"{answers}; status p99 {late * 1e3:.0f} ms, peak {peak:.0f} MB"
            held = late < _MOST_SECONDS and peak < _MOST_MB and max(statuses) < 500
            bound = f"0 x 5xx, status in {_MOST_SECONDS:g} s, {_MOST_MB} MB"
            yield Row(f"{len(content) >> 20} MiB of {name}", len(statuses), measured, bound, held)
        after = server.memory_mb()
        measured = f"{before:.0f} MB before, {after:.0f} MB after"
        yield Row("memory after large bodies", 1, measured, f"x {_MOST_GROWTH}", after < _MOST_GROWTH * before)


def broken_off(share: float) -> Iterator[Row]:
    """Half-sent requests: the connections are closed, and SIGTERM ends the server in its time."""
    tries = scaled(200, share)
    half = _HALF % _MODEL.encode()
    with serving(_MODEL, flags=["--read_seconds=2"]) as server:
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(tries)]
        start = time.perf_counter()
        for number, connection in enumerate(slow):
            connection.sendall(half if number % 2 else half[:20])
        for connection in slow:
            connection.settimeout(30)
            while connection.recv(4096):
                pass
        seconds = time.perf_counter() - start
        measured = f"closed after {seconds:.1f} s"
        yield Row("half-sent requests", tries, measured, "5 s, alive", seconds < 5 and server.alive())
        for _ in range(tries):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(half)
        time.sleep(0.5)
        log = server.log.read_text()
        yield Row("disconnects", tries, f"{log.count('Traceback')} tracebacks", "0", "Traceback" not in log)
    for code in (signal.SIGTERM, signal.SIGINT):
        yield _end(f"{code.name} with half-sent requests", [code], _half_sent, scaled(20, share))
        yield _end(f"{code.name} under bodies of 30 MiB", [code], _large, 4)
    signals = [signal.SIGINT, signal.SIGINT]
    yield _end("a second SIGINT", signals, _half_sent, scaled(20, share), "--shutdown_seconds=300")


def _end(fault: str, signals: list[signal.Signals], begin: Callable[..., Any], clients: int, *flags: str) -> Row:
    """The end of a server by signals, a second after clients have begun with their requests.

    Args:
      fault: fault for the table.
      signals: signals, a second apart.
      begin: function of the server and a number of clients, whose requests are under way when the function returns.
      clients: number of clients.
      *flags: further flags.
    """
    flags = (f"--shutdown_seconds={_SHUTDOWN_SECONDS}", "--read_seconds=600", *flags)
    with serving(_JACOBIANS, _MODEL, flags=flags) as server:
        clients_under_way = begin(server, clients)
        for code in signals:
            time.sleep(1)
            start = time.perf_counter()
            server.process.send_signal(code)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(60)
        seconds = time.perf_counter() - start
        tracebacks = server.log.read_text().count("Traceback")
    del clients_under_way
    bound = (_SHUTDOWN_SECONDS if len(signals) == 1 else 0) + 2
    held = seconds < bound and not tracebacks
    return Row(fault, clients, f"ended in {seconds:.1f} s, {tracebacks} tracebacks", f"{bound} s, 0", held)


def _half_sent(server: Server, clients: int) -> list[socket.socket]:
    """Connections over which half a request was sent."""
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(clients)]
    for connection in connections:
        connection.sendall(_HALF % _MODEL.encode())
    return connections


def _large(server: Server, clients: int) -> list[threading.Thread]:
    """Clients that send large bodies until the server is gone."""
    content = _jacobians()

    def send() -> None:
        with contextlib.suppress(requests.RequestException):
            while True:
                requests.post(server.predict_url(_JACOBIANS), data=content, timeout=60)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    return threads


@functools.cache
def _jacobians() -> bytes:
    """A request of nearly 32 MiB that the model answers."""
    row = [[0.123456789012345] * 3072] * 64
    return b'{"instances": ' + str([row] * 8).encode() + b"}"

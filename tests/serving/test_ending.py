"""The process of a server ends in time after a signal, whatever its threads do. TensorFlow is not needed for that."""

import contextlib
import signal
import socket
import subprocess
import sys

import pytest

from tests.fork import ROOT

SERVER = """
import asyncio, contextlib, socket, sys, threading, time
import uvicorn
from tfnas.serving.ending import EndingServer

def long():
    print("begun", flush=True)
    time.sleep(300)

async def answered(send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"answer"})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if sys.argv[1] == "/lifespan":
            await asyncio.sleep(300)
        return await send({"type": "lifespan.shutdown.complete"})
    path = scope["path"]
    if path == "/loop":
        long()
    if path == "/thread":
        threading.Thread(target=long).start()
        return await answered(send)
    if path != "/worker":
        print("begun", flush=True)
    while path == "/stubborn":
        try:
            await asyncio.sleep(300)
        except asyncio.CancelledError:
            pass
    with contextlib.suppress(asyncio.CancelledError):
        if path == "/worker":
            await asyncio.to_thread(long)
        if path == "/wait":
            await asyncio.sleep(300)
    await answered(send)

config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=int(sys.argv[3]))
EndingServer(config).run([socket.socket(fileno=int(sys.argv[2]))])
"""


@contextlib.contextmanager
def asked(path, shutdown_seconds=1):
    """The process of a server that has begun with a request, and the connection to it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address, number = listening.getsockname(), listening.fileno()
        command = [sys.executable, "-c", SERVER, path, str(number), str(shutdown_seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[number], text=True, **pipes)
    try:
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert process.stdout.readline() == "begun\n", process.communicate()
            yield process, connection
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("path", "code", "returncode"),
    [
        ("/", signal.SIGINT, 0),
        ("/", signal.SIGTERM, -signal.SIGTERM),
        ("/worker", signal.SIGINT, 0),
        ("/thread", signal.SIGINT, 0),
        ("/loop", signal.SIGINT, 1),
        ("/stubborn", signal.SIGINT, 0),
        ("/lifespan", signal.SIGTERM, 1),
    ],
)
def test_the_process_ends(path, code, returncode):
    with asked(path) as (process, _):
        process.send_signal(code)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == returncode
        assert "Traceback" not in errors


def test_a_client_is_told_that_the_server_ends():
    with asked("/wait") as (process, connection):
        process.send_signal(signal.SIGINT)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert process.wait(60) == 0


def test_a_second_sigint_ends_at_once():
    with asked("/wait", shutdown_seconds=300) as (process, _):
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130

"""What requests can do to the server."""

import pathlib
import tempfile
from collections.abc import Iterator

import requests

from perf.faults.processes import serving
from perf.faults.table import Row, scaled

_MODEL = "arch2vec_nasbench201"


def oversized_bodies(share: float) -> Iterator[Row]:
    """Bodies of more bytes than are allowed."""
    tries = scaled(10, share)
    with tempfile.TemporaryDirectory() as folder, serving(_MODEL, pathlib.Path(folder) / "log") as server:
        address = f"{server.address}/v1/models/{_MODEL}:predict"
        statuses = {requests.post(address, data=b"1," * (33 << 20), timeout=60).status_code for _ in range(tries)}
        held = statuses == {413} and server.alive()
        yield Row("body of 66 MiB", tries, f"status {', '.join(map(str, sorted(statuses)))}", "413, alive", held)

"""The server over HTTP: endpoints, refusals, slow clients, versions, and a shutdown that does not wait for ever."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests
import uvicorn

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.serving import Limits, application, http
from tfnas.serving.models import Model

ROOT = pathlib.Path(__file__).parents[2]
ARCH2VEC = ROOT / "saved_models" / "arch2vec_nasbench201"
SMALL = ROOT / "tests" / "golden" / "v1" / "index"  # loads in no time
CELLS = {"signature_name": "encode_cells", "inputs": ["14590", "3"]}
PREDICT = "/v1/models/cells:predict"


class Server:
    """A server in a thread of this process."""

    def __init__(self, app, limits):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(http.configuration(app, limits, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.01)

    def get(self, path):
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=60)

    def post(self, path, **content):
        return requests.post(f"http://127.0.0.1:{self.port}{path}", timeout=60, **content)

    def connection(self, content):
        """A connection over which some bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(content)
        return connection

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


LIMITS = Limits(request_mib=1, read_seconds=0.5, shutdown_seconds=1)
HALF = b"POST /v1/models/cells:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture(scope="module")
def app():
    return application({"cells": ARCH2VEC}, LIMITS)


@pytest.fixture
def server(app):
    server = Server(app, LIMITS)
    yield server
    server.stop()


def test_endpoints(server):
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ready", "models": {"cells": "1"}}
    for prefix in ("/v1/models/cells", "/v1/models/cells/versions/1"):
        assert server.get(prefix).json()["model_version_status"][0]["state"] == "AVAILABLE"
        metadata = server.get(f"{prefix}/metadata").json()["metadata"]
        assert metadata["signature_def"]["encode"]["inputs"]["ops"] == {"dtype": "float32", "shape": [-1, 8, 7]}
        assert metadata["tfnas"]["operations"][0] == "input"
        answer = server.post(f"{prefix}:predict", json=CELLS)
        assert np.shape(answer.json()["outputs"]["embedding"]) == (2, 16)
    for path in ("/v1/models/other", "/v1/models/cells/versions/2", "/nothing"):
        answer = server.get(path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_metrics_and_the_log_tell_of_requests(server, caplog):
    with caplog.at_level("INFO", logger="tfnas.serving.access"):
        server.post(PREDICT, json=CELLS)
        server.post(PREDICT, data=b"{")
        while len(caplog.records) < 2:  # a line follows the end of its answer
            time.sleep(0.01)
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    assert (first["method"], first["path"], first["status"]) == ("POST", PREDICT, 200)
    assert second["status"] == 400
    text = server.get("/metrics").text
    assert 'tfnas_requests_total{route="predict",status="400"}' in text
    assert 'tfnas_batch_rows_count{model="cells",signature="encode"}' in text
    assert "tfnas_waiting_bytes 0.0" in text


def test_the_description_has_the_types_of_every_signature(server):
    assert "swagger" in server.get("/docs").text
    document = server.get("/openapi.json").json()
    schema = document["paths"][PREDICT]["post"]["requestBody"]["content"]["application/json"]["schema"]
    forms = {choice["title"]: choice["properties"] for choice in schema["oneOf"]}
    row = forms["encode by instances"]["instances"]["items"]["properties"]["ops"]
    assert (row["minItems"], row["maxItems"], row["items"]["items"]) == (8, 8, {"type": "number"})


def test_the_client_of_the_documentation(server):
    text = (ROOT / "docs" / "how_to" / "serving.md").read_text()
    programs = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    (program,) = (program for program in programs if "http://localhost:8501" in program)
    program = program.replace("http://localhost:8501", f"http://127.0.0.1:{server.port}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "(1, 16)\n", done.stderr


def test_refusals(server):
    answer = server.post(PREDICT, data=b"\xff{")
    assert (answer.status_code, answer.json()["error"][:21]) == (400, "the request: not JSON")
    assert server.post(PREDICT, data=b"1," * (600 << 10)).status_code == 413
    chunks = (b"1," * 10000 for _ in range(100))  # without a length in the head
    assert server.post(PREDICT, data=chunks).status_code == 413


def test_bodies_that_are_held_are_bounded():
    limits = Limits(waiting_mib=1, read_seconds=20.0)
    server = Server(application({"cells": SMALL}, limits), limits)
    head = b"POST /v1/models/cells:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    with server.connection(head + b"1" * 800_000):
        while "tfnas_waiting_bytes 800000" not in server.get("/metrics").text:
            time.sleep(0.01)
        answer = server.post(PREDICT, data=b"1" * 500_000)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    while server.post(PREDICT, data=b"1" * 500_000).status_code != 400:  # the client went away
        time.sleep(0.01)
    server.stop()


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (HALF, b"HTTP/1.1 408 "),
        (b"POST /v1/models", b""),
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (1 << 20), b"HTTP/1.1 400 "),
    ],
    ids=["half a body", "half a head", "nothing", "an endless head"],
)
def test_a_client_that_does_not_go_on(server, content, answer):
    try:
        with server.connection(content) as connection:
            received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    except ConnectionError:  # the rest of the head is not read
        received = answer
    assert received.startswith(answer)
    assert bool(received) == bool(answer)


def test_a_client_that_goes_away_leaves_no_traceback(server, caplog):
    server.connection(HALF).close()
    body = json.dumps(CELLS).encode()
    server.connection(HALF.replace(b"100", str(len(body)).encode())[:-1] + body).close()
    assert server.post(PREDICT, json=CELLS).ok
    assert not [record for record in caplog.records if record.exc_info]


def test_half_a_request_does_not_hold_the_shutdown_up(caplog):
    limits = Limits(read_seconds=60.0, shutdown_seconds=1)
    server = Server(application({"cells": SMALL}, limits), limits)
    with server.connection(HALF) as connection:
        assert server.get("/healthz").ok
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 10
        assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
    assert not [record for record in caplog.records if record.exc_info]


def test_a_model_that_takes_too_long():
    limits = Limits(predict_seconds=1e-6)
    server = Server(application({"cells": SMALL}, limits), limits)
    specs = server.get("/v1/models/cells/metadata").json()["metadata"]["signature_def"]["search"]["inputs"]
    inputs = {"queries": np.ones([1, specs["queries"]["shape"][1]]).tolist(), "count": 1}
    inputs["allowed"] = [True] * specs["allowed"]["shape"][0]
    answer = server.post(PREDICT, json={"signature_name": "search", "inputs": inputs})
    server.stop()
    assert (answer.status_code, answer.json()["error"]) == (504, "no answer within 1e-06 seconds")


def test_a_newer_version_is_served(tmp_path):
    shutil.copytree(SMALL, tmp_path / "1")
    model = Model("cells", tmp_path, Limits())
    model.reload()
    assert model.version == 1
    shutil.copytree(SMALL, tmp_path / "9")
    (tmp_path / "9" / "saved_model.pb").write_bytes(b"damaged")
    shutil.copytree(SMALL, tmp_path / "10")
    shutil.copytree(SMALL, tmp_path / "12")
    (tmp_path / "12" / "variables" / "variables.index").unlink()
    (tmp_path / "11").mkdir()  # still being copied: its manifest comes last
    model.reload()
    assert (model.version, list(model.failures)) == (10, [12])
    assert "variables.index" in model.failures[12]
    assert "search" in model.current.servable.metadata()


def test_folders_that_are_no_models(tmp_path):
    with pytest.raises(ConfigurationError, match="neither a SavedModel of tfnas nor folders with numbers for names"):
        application({"x": tmp_path})
    shutil.copytree(SMALL, tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").unlink()
    with pytest.raises(CorruptArtefactError, match=r"saved_model\.pb"):
        application({"x": tmp_path})


@pytest.mark.parametrize("field", ["request_mib", "read_seconds"])
def test_limits_are_positive(field):
    with pytest.raises(ConfigurationError, match=f"{field}=0, expected a positive number"):
        Limits(**{field: 0})

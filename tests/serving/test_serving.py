"""What ships is served: warm-up requests, plain TensorFlow, HTTP; wrong requests are refused with a reason."""

import base64
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests
import tensorflow as tf
import uvicorn
from tensorflow_serving.apis import prediction_log_pb2

from tfnas import artefacts, saved_models
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.graphs import cells as cell_graphs
from tfnas.graphs import gnn
from tfnas.serving import http
from tfnas.serving.requests import Servable
from tfnas.spaces import NASBench201

SHIPPED = sorted(path.parent for path in (pathlib.Path(__file__).parents[2] / "saved_models").glob("*/saved_model.pb"))
ARCH2VEC = SHIPPED[0].parent / "arch2vec_nasbench201"


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_warm_up_requests_name_every_signature_and_run(folder):
    signatures = dict((module := tf.saved_model.load(str(folder))).signatures)
    assert module is not None
    met = []
    for record in tf.data.TFRecordDataset(str(folder / saved_models.FILE_NAME)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert signatures[request.model_spec.signature_name](**inputs)
        met.append(request.model_spec.signature_name)
    assert met == sorted(signatures)


def test_strings_need_an_example(tmp_path):
    signatures = {"encode_examples": Servable(ARCH2VEC).signatures["encode_examples"]}
    with pytest.raises(ConfigurationError, match="'examples' takes strings"):
        saved_models.write_requests(tmp_path, signatures)


def test_servers_files_do_not_count_as_content():
    manifest = artefacts.read_manifest(ARCH2VEC)
    without = {name: facts for name, facts in manifest["files"].items() if not name.startswith("assets.extra")}
    assert artefacts.fingerprint(manifest) == artefacts.fingerprint({"files": without})
    assert len(without) == len(manifest["files"]) - 1


PLAIN = """
import json, sys
import numpy as np, tensorflow as tf
folder, arrays, target = sys.argv[1:]
model = tf.saved_model.load(folder)
given = np.load(arrays)
results = {}
for name in {key.split("/")[0] for key in given}:
    inputs = {key.split("/")[1]: tf.constant(given[key]) for key in given if key.split("/")[0] == name}
    if "examples" in inputs:
        inputs["examples"] = tf.io.decode_base64(inputs["examples"])
    for key, value in model.signatures[name](**inputs).items():
        results[f"{name}/{key}"] = value.numpy()
np.savez(target, **results)
assert not {"tfnas", "tensorflow_gnn"} & set(sys.modules)
"""


def requests_of(folder, rng, count):
    """Inputs of real architectures for the shipped SavedModels, by signature; rows must not depend on each other."""
    if folder.name.startswith("arch2vec"):
        from tfnas.spaces import get_space

        space = get_space(folder.name.removeprefix("arch2vec_"))
        cells = space.enumerate()[:count] if folder.name.endswith("201") else space.sample(count, rng)
        examples = [
            cell_graphs.to_example(cells.operations[row], cells.adjacency[row], row).SerializeToString()
            for row in range(count)
        ]
        dense = {"ops": cells.one_hot(len(space.operations)), "adjacency": cells.adjacency.astype(np.float32)}
        return {"encode": dense, "encode_examples": {"examples": examples}}
    if folder.name.startswith("cg"):
        from tfnas.graphs.computation_graph import to_example
        from tfnas.networks import symbolic

        space = NASBench201()
        cells = space.enumerate()
        graphs = [symbolic.build(space, space.architecture(cells, 7 * row)) for row in range(count)]
        examples = [to_example(graph).SerializeToString() for graph in graphs]
        return {"predict_examples" if "predictor" in folder.name else "encode_examples": {"examples": examples}}
    if folder.name == "jacobian_encoder":
        shape = Servable(folder).metadata()["embed"]["inputs"]["jacobians"]["shape"]
        return {"embed": {"jacobians": rng.normal(size=(count, *shape[1:])).astype(np.float32)}}
    if folder.name == "motif_encoder":
        from tfnas.encoders.motif.saved import SavedMotifEncoder
        from tfnas.retrieval.index import Index

        graphs = Index.load(folder.parent / "architecture_index").collection.graphs
        small = np.argsort(graphs.num_nodes, kind="stable")[:count]
        two_level = SavedMotifEncoder(folder).two_level(graphs[small])
        examples = [
            gnn.write_example(two_level[np.array([row])].to_graph_tensor()).SerializeToString() for row in range(count)
        ]
        return {"encode_examples": {"examples": examples}}
    return {}


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_plain_tensorflow_gives_the_same_and_batches_do_not_matter(folder, rng, tmp_path):
    """A process without tfnas and tensorflow_gnn; one row alone and among 64."""
    asked = requests_of(folder, rng, 64)
    if not asked:  # the index: its rows are queries, its other inputs are not
        index = Servable(folder).signatures["search"]
        queries = tf.math.l2_normalize(tf.constant(rng.normal(size=(64, 1024)), tf.float32), axis=1)
        shared = {"allowed": tf.fill([1763], True), "count": tf.constant(10)}
        whole = index(queries=queries, **shared)
        alone = index(queries=queries[:1], **shared)
        np.testing.assert_allclose(alone["similarities"], whole["similarities"][:1], atol=1e-6)
        return
    servable = Servable(folder)
    stored = {}
    for name, inputs in asked.items():
        for key, value in inputs.items():
            coded = [base64.urlsafe_b64encode(text).rstrip(b"=") for text in value] if key == "examples" else value
            stored[f"{name}/{key}"] = np.array(coded)
    np.savez(tmp_path / "given.npz", **stored)
    arguments = [str(folder), str(tmp_path / "given.npz"), str(tmp_path / "results.npz")]
    subprocess.run([sys.executable, "-c", PLAIN, *arguments], check=True, cwd=tmp_path)
    results = artefacts.read_npz(tmp_path / "results.npz")
    for name, inputs in asked.items():
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        here = servable.signatures[name](**tensors)
        alone = servable.signatures[name](**{key: value[:1] for key, value in tensors.items()})
        for key, value in here.items():
            np.testing.assert_allclose(results[f"{name}/{key}"], value, atol=1e-6, rtol=1e-6)
            np.testing.assert_allclose(alone[key], value[:1], atol=1e-6, rtol=1e-5)


class Client:
    """Talks to a server on this machine."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def get(self, path):
        return requests.get(self.address + path, timeout=60)

    def post(self, path, **content):
        return requests.post(self.address + path, timeout=60, **content)


@pytest.fixture(scope="module")
def client():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = http.application("cells", ARCH2VEC)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Client(port)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def cell():
    cells = NASBench201().enumerate()[:2]
    return {"ops": cells.one_hot(7).tolist(), "adjacency": cells.adjacency.tolist()}


def test_columns_and_rows_give_what_the_model_gives(client, cell):
    columns = client.post("/v1/models/cells:predict", json={"inputs": cell})
    assert columns.status_code == 200
    instances = [{key: value[row] for key, value in cell.items()} for row in range(2)]
    rows = client.post("/v1/models/cells/versions/1:predict", json={"instances": instances})
    direct = Servable(ARCH2VEC).signatures["serving_default"](
        ops=tf.constant(cell["ops"], tf.float32), adjacency=tf.constant(cell["adjacency"], tf.float32)
    )
    assert columns.json()["outputs"].keys() == direct.keys()
    np.testing.assert_allclose(columns.json()["outputs"]["embedding"], direct["embedding"], atol=1e-6)
    for row, prediction in enumerate(rows.json()["predictions"]):
        np.testing.assert_allclose(prediction["embedding"], direct["embedding"][row], atol=1e-6)


def test_the_client_of_the_documentation(client):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "how_to" / "serving.md").read_text()
    programs = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    (program,) = (program for program in programs if "http://localhost:8501" in program)
    program = program.replace("http://localhost:8501", client.address)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "(1, 16)\n", done.stderr


def test_examples_in_base64(client):
    text = base64.b64encode(cell_graphs.smallest_example()).decode()
    body = {"signature_name": "encode_examples", "instances": [{"b64": text}, {"b64": text}]}
    answer = client.post("/v1/models/cells:predict", json=body)
    assert len(answer.json()["predictions"]) == 2


def test_status_and_metadata(client):
    assert client.get("/v1/models/cells").json()["model_version_status"][0]["state"] == "AVAILABLE"
    signatures = client.get("/v1/models/cells/metadata").json()["metadata"]["signature_def"]
    assert signatures["encode"]["inputs"]["ops"] == {"dtype": "float32", "shape": [-1, 8, 7]}
    assert signatures["decode"]["outputs"].keys() == {"operations", "adjacency"}
    assert client.get("/v1/models/other").status_code == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cell: [1], "expected a JSON object with either 'inputs' or 'instances'"),
        (lambda cell: {"inputs": cell, "instances": []}, "either 'inputs' or 'instances'"),
        (lambda cell: {"inputs": cell, "signature_name": "train"}, "no signature 'train', expected one of decode, enc"),
        (lambda cell: {"inputs": {"ops": cell["ops"]}}, r"inputs ['ops'], expected ['adjacency', 'ops']"),
        (lambda cell: {"inputs": cell["ops"]}, "'inputs' has no names"),
        (lambda cell: {"inputs": cell | {"ops": [[1.0]]}}, "ops: shape [1, 1], expected [-1, 8, 7]"),
        (lambda cell: {"inputs": cell | {"ops": "many"}}, "ops: not numbers or strings of one shape"),
        (lambda cell: {"inputs": cell | {"ops": [[1], [1, 2]]}}, "ops: not numbers or strings of one shape"),
        (lambda cell: {"inputs": cell | {"ops": cell["ops"][:1]}}, "serving_default: "),
        (lambda cell: {"instances": []}, "a list of at least one"),
        (lambda cell: {"instances": [{"ops": cell["ops"][0]}]}, "instance 0: inputs ['ops']"),
        (lambda cell: {"signature_name": "encode_examples", "inputs": [{"b64": "%"}]}, "examples: not numbers or"),
        (lambda cell: {"signature_name": "encode_examples", "inputs": ["junk"]}, "encode_examples: "),
    ],
)
def test_a_wrong_request_gets_a_reason(client, cell, change, message):
    answer = client.post("/v1/models/cells:predict", json=change(cell))
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_requests_that_are_no_json_or_too_long(client, monkeypatch):
    answer = client.post("/v1/models/cells:predict", data=b"\xff{")
    assert (answer.status_code, "the request: not JSON" in answer.json()["error"]) == (400, True)
    monkeypatch.setattr(http, "LARGEST_REQUEST", 10)
    assert client.post("/v1/models/cells:predict", json={"inputs": [0] * 20}).status_code == 413


def test_numbers_that_are_not_finite_become_null():
    servable = Servable(ARCH2VEC.parent / "jacobian_encoder")
    shape = servable.metadata()["embed"]["inputs"]["jacobians"]["shape"][1:]
    outputs = servable.predict({"inputs": np.zeros([1, *shape]).tolist()})["outputs"]
    assert outputs["state"] == [1]
    assert set(outputs["embedding"][0]) == {None}
    json.dumps(outputs, allow_nan=False)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(CorruptArtefactError, match="no such file"):
        http.application("x", tmp_path)

"""What ships is served: warm-up requests, plain TensorFlow, rows that do not depend on each other."""

import base64
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests import plain
from tfnas import artefacts, saved_models
from tfnas.errors import ConfigurationError
from tfnas.graphs import cells as cell_graphs
from tfnas.graphs import gnn
from tfnas.serving import Servable
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
    signatures = {"encode_examples": tf.saved_model.load(str(ARCH2VEC)).signatures["encode_examples"]}
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
    if folder.name.startswith(("cg", "colour")):
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
        queries = rng.normal(size=(64, 1025))
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        shared = {"allowed": np.full(3404, True), "count": np.array(10)}
        whole = index({"queries": queries, **shared})
        alone = index({"queries": queries[:1], **shared})
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
    plain.run(PLAIN, *arguments, folder=tmp_path)
    results = artefacts.read_npz(tmp_path / "results.npz")
    for name, inputs in asked.items():
        assert servable.signatures[name].independent
        here = servable.signatures[name](inputs)
        alone = servable.signatures[name]({key: value[:1] for key, value in inputs.items()})
        for key, value in here.items():
            np.testing.assert_allclose(results[f"{name}/{key}"], value, atol=1e-6, rtol=1e-6)
            np.testing.assert_allclose(alone[key], value[:1], atol=1e-6, rtol=1e-5)

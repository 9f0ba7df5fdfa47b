"""Requests are read without coercion; what is wrong with a request is said, with the input and the instance."""

import base64
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfnas.errors import ConfigurationError
from tfnas.graphs import cells as cell_graphs
from tfnas.graphs.computation_graph import smallest_graph, to_example
from tfnas.retrieval.index import Index
from tfnas.serving import Limits, Servable
from tfnas.serving.requests import RequestReader, RequestTooLargeError, read_envelope
from tfnas.spaces import NASBench201

SHIPPED = pathlib.Path(__file__).parents[2] / "saved_models"
TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
EXAMPLE = {"b64": base64.b64encode(cell_graphs.smallest_example()).decode()}


@pytest.fixture(scope="module")
def encoder():
    return Servable(SHIPPED / "arch2vec_nasbench201", Limits(instances=100, batch_rows=3))


@pytest.fixture(scope="module")
def cell():
    cells = NASBench201().enumerate()[:2]
    return {"ops": cells.one_hot(7).tolist(), "adjacency": cells.adjacency.tolist()}


def asked(servable, body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(servable.predict(content))


def test_columns_rows_and_texts_give_what_the_model_gives(encoder, cell):
    columns = asked(encoder, {"inputs": cell})["outputs"]
    instances = [{key: value[row] for key, value in cell.items()} for row in range(2)]
    rows = asked(encoder, {"instances": instances})["predictions"]
    model = tf.saved_model.load(str(SHIPPED / "arch2vec_nasbench201"))
    direct = model.signatures["encode"](**{key: tf.constant(value, tf.float32) for key, value in cell.items()})
    assert columns.keys() == rows[0].keys() == direct.keys()
    for key, value in direct.items():
        np.testing.assert_allclose(columns[key], value, atol=1e-6)
        np.testing.assert_allclose([row[key] for row in rows], value, atol=1e-6)
    space = NASBench201()
    texts = [space.to_string(space.architecture(space.enumerate(), row)) for row in range(2)]
    named = asked(encoder, {"signature_name": "encode_cells", "inputs": texts})["outputs"]
    np.testing.assert_allclose(named["embedding"], columns["embedding"], atol=1e-6)


def test_many_rows_are_computed_in_batches(encoder):
    texts = [{"cells": str(number)} for number in range(10)]  # four batches of three
    rows = asked(encoder, {"signature_name": "encode_cells", "instances": texts})["predictions"]
    columns = asked(encoder, {"signature_name": "encode_cells", "inputs": [text["cells"] for text in texts]})["outputs"]
    np.testing.assert_array_equal([row["embedding"] for row in rows], columns["embedding"])
    alone = asked(encoder, {"signature_name": "encode_cells", "inputs": ["7"]})["outputs"]
    np.testing.assert_allclose(alone["embedding"][0], columns["embedding"][7], atol=1e-6)


def test_a_graph_with_a_cycle_is_a_wrong_request():
    predictor = Servable(SHIPPED / "cg_predictor", Limits())
    example = to_example(smallest_graph())
    for feature, numbers in (("#source", [0, 1]), ("#target", [1, 0]), ("#size", [2])):
        example.features.feature[f"edges/flow.{feature}"].int64_list.value[:] = numbers
    instance = {"b64": base64.b64encode(example.SerializeToString()).decode()}
    with pytest.raises(ConfigurationError, match="a graph has a cycle"):
        asked(predictor, {"inputs": [instance]})


@pytest.mark.parametrize("inputs", [[EXAMPLE], {"examples": [EXAMPLE]}])
def test_the_only_input_may_lack_its_name(encoder, inputs):
    assert len(asked(encoder, {"signature_name": "encode_examples", "inputs": inputs})["outputs"]["embedding"]) == 1
    instances = inputs if isinstance(inputs, list) else [{"examples": EXAMPLE}]
    assert len(asked(encoder, {"signature_name": "encode_examples", "instances": instances})["predictions"]) == 1


def test_metadata_tells_how_inputs_are_made(encoder):
    metadata = encoder.metadata()
    assert metadata["encode"]["inputs"]["ops"] == {"dtype": "float32", "shape": [-1, 8, 7]}
    assert metadata["decode"]["outputs"].keys() == {"operations", "adjacency"}
    assert metadata["encode_cells"]["inputs"] == {"cells": {"dtype": "string", "shape": [-1]}}
    assert encoder.facts["operations"] == list(NASBench201().operations)


def value_of(body, number, value):
    """The body as JSON, with the first entry of the operations of a cell replaced by some JSON."""
    body = json.loads(json.dumps(body))
    body["ops"][number][0][0] = "here"
    return json.dumps({"inputs": body}).replace('"here"', value).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("null", "expected float, got null"),
        ('"1"', "expected float, got str"),
        ("true", "expected float, got bool"),
        ("[1]", "expected float, got array"),
        ("1" * 5000, "number out of range"),
        ("1e400", "number out of range"),
    ],
)
def test_values_are_not_coerced(encoder, cell, value, reason):
    with pytest.raises(ConfigurationError) as caught:
        encoder.predict(value_of(cell, 1, value))
    assert str(caught.value) == (
        f"inputs.ops[1][0][0]: {reason}; serving_default takes adjacency float32 [-1, 8, 8], ops float32 [-1, 8, 7]"
    )


def test_numbers_beyond_the_type_are_refused(encoder, cell):
    with pytest.raises(ConfigurationError, match=r"ops\[1\]\[0\]\[0\]: number out of the range of float32"):
        encoder.predict(value_of(cell, 1, "1e39"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cell: [1], "the request: expected object, got array"),
        (lambda cell: {"inputs": cell, "instances": []}, "either 'inputs' or 'instances'"),
        (lambda cell: {}, "either 'inputs' or 'instances'"),
        (lambda cell: {"inputs": cell, "more": 1}, "unknown field more"),
        (lambda cell: {"inputs": cell, "signature_name": "train"}, "no signature 'train', expected one of decode, enc"),
        (lambda cell: {"inputs": cell, "signature_name": ["train"]}, "signature_name: expected str, got array"),
        (lambda cell: {"inputs": {"ops": cell["ops"]}}, "inputs: object missing required field adjacency"),
        (lambda cell: {"inputs": cell | {"x": 1}}, "inputs: object contains unknown field x"),
        (lambda cell: {"inputs": cell["ops"]}, "inputs: expected object, got array"),
        (lambda cell: {"inputs": cell | {"ops": [[1.0]]}}, "inputs.ops[0][0]: expected array, got float"),
        (lambda cell: {"inputs": cell | {"ops": "many"}}, "inputs.ops: expected array, got str"),
        (lambda cell: {"inputs": cell | {"ops": [[[1.0]]]}}, "inputs.ops[0][0]: expected array of length >= 7"),
        (
            lambda cell: {"inputs": cell | {"ops": cell["ops"][:1]}},
            "adjacency has 2 rows and ops has 1, expected equal",
        ),
        (lambda cell: {"instances": []}, "instances: expected array of length >= 1"),
        (
            lambda cell: {"instances": [{"ops": cell["ops"][0]}]},
            "instances[0]: object missing required field adjacency",
        ),
        (
            lambda cell: {"signature_name": "encode_examples", "inputs": [EXAMPLE, {"b64": "%"}]},
            "inputs[1].b64: invalid",
        ),
        (
            lambda cell: {"signature_name": "encode_examples", "inputs": [EXAMPLE, "junk"]},
            "instance 1: not a serialised",
        ),
        (lambda cell: {"signature_name": "encode_cells", "inputs": ["0", "x"]}, "instance 1: 'x' is no nasbench201"),
        (
            lambda cell: {"signature_name": "encode_cells", "inputs": ["0", "(" * 9999]},
            "instance 1: a text of 9999 bytes",
        ),
        (lambda cell: {"signature_name": "encode_cells", "inputs": ["0"] * 101}, "expected array of length <= 100"),
        (lambda cell: b"\xff{", "the request: not JSON"),
        (lambda cell: b'{"inputs": NaN}', "the request: not JSON"),
        (lambda cell: b'{"inputs": ' + b"[" * 9999, "brackets are nested too deeply"),
        (lambda cell: b'{"signature_name": "\\ud800"}', "the request: not JSON"),
    ],
)
def test_a_wrong_request_gets_a_reason(encoder, cell, change, message):
    with pytest.raises(ConfigurationError) as caught:
        asked(encoder, change(cell))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_values(encoder):
    with pytest.raises(RequestTooLargeError, match="more than 10 values"):
        read_envelope(b"[" + b"1," * 10 + b"1]", Limits(request_values=10))


def changed(feature, values):
    """A serialised example with other numbers in a feature."""
    example = tf.train.Example.FromString(cell_graphs.smallest_example())
    example.features.feature[feature].int64_list.value[:] = values
    return {"b64": base64.b64encode(example.SerializeToString()).decode()}


@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        ("nodes/vertex.#size", [10**9], "nodes/vertex.#size declares 1000000000 items, in an example of"),
        ("edges/flow.#source", [1, 2, 3, 4, 5, 6, 7, 8, 9], "Shapes of all inputs must match"),
    ],
)
def test_a_damaged_example_is_named(encoder, feature, values, reason):
    examples = [EXAMPLE] * 5  # the second batch has the fault
    examples[4] = changed(feature, values)
    with pytest.raises(ConfigurationError) as caught:
        asked(encoder, {"signature_name": "encode_examples", "inputs": examples})
    assert str(caught.value).startswith(f"encode_examples: instance 4: {reason}")


def test_bytes_that_tensorflow_quotes_are_no_failure(encoder):
    """TensorFlow's message holds bytes that are no UTF-8."""
    signature = encoder.signatures["encode_examples"]
    with pytest.raises(ConfigurationError, match="encode_examples: Could not parse example input"):
        signature({"examples": np.array([b"\xff\xfe\x00"], object)})


@given(st.binary(max_size=60))
def test_no_bytes_get_past_the_reader(encoder, content):
    for text in (content, b'{"inputs": ' + content + b"}", b'{"inputs": {"ops": ' + content + b"}}"):
        with pytest.raises(ConfigurationError):
            encoder.predict(text)


def test_integers_and_truth_values_are_exact():
    specs = {"count": tf.TensorSpec([], tf.int32), "allowed": tf.TensorSpec([2], tf.bool)}
    reader = RequestReader("search", specs, independent=False, limits=Limits())

    def read(count, allowed="[true, false]"):
        content = f'{{"inputs": {{"count": {count}, "allowed": {allowed}}}}}'.encode()
        return reader.read(read_envelope(content, Limits()))

    arrays = read("3")
    assert (arrays["count"].dtype, arrays["count"].shape, arrays["allowed"].tolist()) == (np.int32, (), [True, False])
    for wrong in ("3.7", "3.0", "true", '"3"', str(2**31), "1" * 5000):
        with pytest.raises(ConfigurationError, match=r"inputs\.count: "):
            read(wrong)
    for wrong in ('["false", true]', "[0, 1]", "[true]"):
        with pytest.raises(ConfigurationError, match=r"inputs\.allowed"):
            read("3", wrong)
    with pytest.raises(ConfigurationError, match="expected 'inputs', not 'instances'"):
        reader.read(read_envelope(b'{"instances": []}', Limits()))


def test_flat_graphs_are_no_rows():
    signatures = Servable(SHIPPED / "cg_encoder").signatures
    assert not signatures["encode"].independent
    assert signatures["encode_examples"].independent


def test_a_search_gives_no_more_rows_than_are_allowed(tmp_path):
    names = np.array(["a", "b", "c", "d"])
    Index(np.eye(4), names, names, names).save(tmp_path / "index")
    inputs = {"queries": [[1.0, 0.5, 0.25, 0.0]] * 2, "allowed": [False, True, False, True], "count": 3}
    outputs = asked(Servable(tmp_path / "index"), {"signature_name": "search", "inputs": inputs})["outputs"]
    assert outputs == {"rows": [[1, 3]] * 2, "similarities": [[0.5, 0.0]] * 2}


def test_numbers_that_are_not_finite_become_null():
    servable = Servable(SHIPPED / "jacobian_encoder")
    shape = servable.metadata()["embed"]["inputs"]["jacobians"]["shape"][1:]
    outputs = asked(servable, {"inputs": np.zeros([1, *shape]).tolist()})["outputs"]
    assert outputs["state"] == [1]
    assert set(outputs["embedding"][0]) == {None}

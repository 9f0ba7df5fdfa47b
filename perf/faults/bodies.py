"""Requests that every signature of a shipped model answers, made from its warm-up requests."""

import base64
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfnas import artefacts, saved_models
from tfnas.spaces import get_space


def requests_of(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """JSON values of a request by signature."""
    requests = {}
    for record in tf.data.TFRecordDataset(str(folder / saved_models.FILE_NAME)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {key: _listed(tf.make_ndarray(value)) for key, value in sorted(request.inputs.items())}
        name = request.model_spec.signature_name
        requests[name] = {"signature_name": name, "inputs": inputs}
    manifest = artefacts.read_manifest(folder)
    if "encode" in requests and "space" in manifest:
        requests["encode_cells"] = {"signature_name": "encode_cells", "inputs": cell_texts(manifest["space"], 2)}
    return requests


def cell_texts(space: str, count: int) -> list[str]:
    """Texts of random cells of a space."""
    space = get_space(space)
    cells = space.sample(count, 0)
    return [space.to_string(space.architecture(cells, row)) for row in range(count)]


def dense_cell(folder: pathlib.Path) -> dict[str, Any]:
    """The inputs `ops` and `adjacency` of a random cell, of an encoder of cells."""
    space = get_space(artefacts.read_manifest(folder)["space"])
    cells = space.sample(1, 0)
    return {"ops": cells.one_hot(len(space.operations))[0].tolist(), "adjacency": cells.adjacency[0].tolist()}


def _listed(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in array.tolist()]

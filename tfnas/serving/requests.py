"""Predict requests in the JSON of TensorFlow Serving: checked against a signature, run, answered.

References:
  https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.saved_models import input_specs, load_module

_DEFAULT = "serving_default"


class Servable:
    """A SavedModel that answers predict requests.

    Args:
      folder: folder of the SavedModel and of its manifest, which is checked.

    Attributes:
      signatures: functions of the SavedModel by name.

    Raises:
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.

    Example:
      >>> servable = Servable("saved_models/arch2vec_nasbench201")
      >>> sorted(servable.metadata()["encode_examples"]["inputs"])
      ['examples']
    """

    def __init__(self, folder: artefacts.PathLike):
        artefacts.read_manifest(folder)
        self._module = load_module(folder)  # signatures don't keep it alive
        self.signatures: dict[str, Any] = dict(self._module.signatures)

    def metadata(self) -> dict[str, Any]:
        """Inputs and outputs of every signature: type and shape, -1 for dimensions of any size."""
        return {
            name: {
                "inputs": {key: _described(spec) for key, spec in input_specs(function).items()},
                "outputs": {key: _described(spec) for key, spec in function.structured_outputs.items()},
            }
            for name, function in sorted(self.signatures.items())
        }

    def predict(self, body: Any) -> dict[str, Any]:
        """Answers a request.

        Args:
          body: JSON values: `inputs`, whole tensors by name, or `instances`, a list of items with a row of every
            tensor; and `signature_name`. The only input of a signature may come without its name. Strings may be
            `{"b64": ...}`.

        Returns:
          JSON values: `outputs`, whole tensors by name, or `predictions`, a list of rows; None stands for numbers that
          are not finite.

        Raises:
          ConfigurationError: the request does not fit a signature of the model.
        """
        if not isinstance(body, Mapping) or ("inputs" in body) == ("instances" in body):
            raise ConfigurationError("expected a JSON object with either 'inputs' or 'instances'")
        name = body.get("signature_name", _DEFAULT)
        if name not in self.signatures:
            raise ConfigurationError(f"no signature {name!r}, expected one of {', '.join(sorted(self.signatures))}")
        specs = input_specs(self.signatures[name])
        columnar = "inputs" in body
        given = _columns(body["inputs"], specs) if columnar else _transposed(body["instances"], specs)
        if given.keys() != specs.keys():
            raise ConfigurationError(f"{name}: inputs {sorted(given)}, expected {sorted(specs)}")
        tensors = {key: _tensor(key, given[key], spec) for key, spec in specs.items()}
        try:
            outputs = self.signatures[name](**tensors)
        except tf.errors.OpError as error:
            raise ConfigurationError(f"{name}: {str(error.message).splitlines()[0]}") from error
        values = {key: _listed(value) for key, value in outputs.items()}
        single = next(iter(values.values())) if len(values) == 1 else None
        if columnar:
            return {"outputs": values if single is None else single}
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        return {"predictions": rows if single is None else single}


def _described(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": [-1 if size is None else size for size in spec.shape]}


def _columns(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> Mapping[str, Any]:
    if isinstance(inputs, Mapping) and "b64" not in inputs:
        return inputs
    if len(specs) != 1:
        raise ConfigurationError(f"'inputs' has no names, expected {sorted(specs)}")
    return {next(iter(specs)): inputs}


def _transposed(instances: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, list[Any]]:
    """A list of rows of all tensors as a list per tensor."""
    if not isinstance(instances, list) or not instances:
        raise ConfigurationError("'instances' must be a list of at least one")
    rows = [_columns(row, specs) for row in instances]
    for number, row in enumerate(rows):
        if row.keys() != specs.keys():
            raise ConfigurationError(f"instance {number}: inputs {sorted(row)}, expected {sorted(specs)}")
    return {key: [row[key] for row in rows] for key in specs}


def _tensor(name: str, value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    try:
        if spec.dtype == tf.string:
            array = np.array(_decoded(value), object)
        else:
            array = np.array(value, spec.dtype.as_numpy_dtype)
        tensor = tf.constant(array, spec.dtype)
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise ConfigurationError(f"{name}: not numbers or strings of one shape ({error})") from error
    if not spec.shape.is_compatible_with(tensor.shape):
        expected = [-1 if size is None else size for size in spec.shape]
        raise ConfigurationError(f"{name}: shape {tensor.shape.as_list()}, expected {expected}")
    return tensor


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, Mapping) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"{type(value).__name__} is not a string")


def _listed(value: tf.Tensor) -> Any:
    array = value.numpy()
    if array.dtype == object:
        return np.vectorize(lambda item: {"b64": base64.b64encode(item).decode()}, otypes=[object])(array).tolist()
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        return np.where(np.isfinite(array), array.astype(object), None).tolist()
    return array.tolist()

"""A SavedModel that answers predict requests."""

import base64
import pathlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf

from tfnas import artefacts, saved_models
from tfnas.errors import ConfigurationError
from tfnas.serving.cells import CellSignature
from tfnas.serving.limits import Limits
from tfnas.serving.requests import RequestReader, read_envelope
from tfnas.serving.signatures import Arrays, Signature
from tfnas.spaces import SPACES, get_space

# Facts of a manifest that tell a client how to make inputs and read outputs.
_FACTS = ("kind", "space", "operations", "operators", "num_vertices", "embedding_dim", "architectures")


class Query:
    """A request that was read: tensors for a signature.

    Attributes:
      signature: signature.
      arrays: inputs by name.
      rows: number of independent rows; None if rows depend on each other.
      columnar: whether the answer has whole tensors and not rows.
    """

    def __init__(self, signature: Signature, arrays: Arrays, columnar: bool):
        self.signature = signature
        self.arrays = arrays
        self.rows = len(next(iter(arrays.values()))) if signature.independent else None
        self.columnar = columnar

    def cut(self, start: int, count: int) -> Arrays:
        """The inputs of some rows."""
        return {key: value[start : start + count] for key, value in self.arrays.items()}


class Servable:
    """A SavedModel that answers predict requests.

    Args:
      folder: folder of the SavedModel and of its manifest, which is checked.
      limits: bounds on requests.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Attributes:
      signatures: functions of the SavedModel by name; an encoder of cells also has `encode_cells`, whose input are
        texts that stand for cells.
      facts: entries of the manifest that tell how inputs are made, such as `operations`, the order of the columns of
        `ops`.

    Raises:
      CorruptArtefactError: a file is missing, damaged, or not a SavedModel.
      UntrustedModelError: see `saved_models.load_module`.

    Example:
      >>> servable = Servable("saved_models/arch2vec_nasbench201")
      >>> servable.predict(b'{"signature_name": "encode_cells", "inputs": ["broken"]}')
      Traceback (most recent call last):
      ...
      tfnas.errors.ConfigurationError: encode_cells: instance 0: 'broken' is no nasbench201 architecture, expected ...
    """

    def __init__(self, folder: artefacts.PathLike, limits: Limits | None = None, *, trust: bool = False):
        self._folder = pathlib.Path(folder)
        manifest = artefacts.read_manifest(folder)
        self._limits = limits or Limits()
        self._module = saved_models.load_module(folder, trust=trust)  # signatures don't keep it alive
        self.signatures: dict[str, Signature] = {
            name: Signature(name, function) for name, function in sorted(self._module.signatures.items())
        }
        if manifest.get("space") in SPACES and self.signatures.get("encode"):
            self.signatures["encode_cells"] = CellSignature(self.signatures["encode"], get_space(manifest["space"]))
        self.facts = {name: manifest[name] for name in _FACTS if name in manifest}
        self._readers = {
            name: RequestReader(name, signature.inputs, signature.independent, self._limits)
            for name, signature in self.signatures.items()
        }

    def metadata(self) -> dict[str, Any]:
        """Inputs and outputs of every signature: type and shape, -1 for dimensions of any size."""
        return {
            name: {
                "inputs": {key: _described(spec) for key, spec in signature.inputs.items()},
                "outputs": {key: _described(spec) for key, spec in signature.outputs.items()},
            }
            for name, signature in self.signatures.items()
        }

    def json_types(self) -> dict[str, dict[str, Any]]:
        """Types of `inputs` and `instances` of every signature, for a JSON schema."""
        return {name: reader.json_types() for name, reader in self._readers.items()}

    def read(self, content: bytes | bytearray) -> Query:
        """Reads a request.

        Args:
          content: JSON: `inputs`, whole tensors by name, or `instances`, a list of items with a row of every tensor;
            and `signature_name`. The only input of a signature may come without its name. Strings may be
            `{"b64": ...}`.

        Raises:
          RequestTooLargeError: more values than the limits allow.
          ConfigurationError: the request does not fit a signature of the model.
        """
        envelope = read_envelope(content, self._limits)
        name = envelope.signature_name
        if name not in self.signatures:
            raise ConfigurationError(f"no signature {name[:100]!r}, expected one of {', '.join(self.signatures)}")
        signature, arrays = self.signatures[name].prepared(self._readers[name].read(envelope))
        return Query(signature, arrays, envelope.inputs is not msgspec.UNSET)

    def predict(self, content: bytes | bytearray) -> bytes:
        """Answers a request in this thread, alone.

        Args:
          content: JSON as `read` takes it.

        Returns:
          JSON: `outputs`, whole tensors by name, or `predictions`, a list of rows; null stands for numbers that are not
          finite.

        Raises:
          ConfigurationError: the request does not fit a signature of the model, or TensorFlow refuses its values.
        """
        query = self.read(content)
        if query.rows is None:
            return answer(query, [query.signature(query.arrays)])
        try:
            starts = range(0, query.rows, self._limits.batch_rows)
            return answer(query, [query.signature(query.cut(start, self._limits.batch_rows)) for start in starts])
        except ConfigurationError:
            raise query.signature.first_fault(query.arrays) from None

    def warm_up(self) -> None:
        """Runs the warm-up requests of the model, if it has any, so that the first client does not wait."""
        from tensorflow_serving.apis import prediction_log_pb2

        path = self._folder / saved_models.FILE_NAME
        if not path.is_file():
            return
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            self.signatures[request.model_spec.signature_name](inputs)


def answer(query: Query, pieces: Sequence[Arrays]) -> bytes:
    """The answer to a request as JSON.

    Args:
      query: request.
      pieces: outputs of batches of the request's rows, in the order of the rows.
    """
    single = len(pieces[0]) == 1
    if query.columnar:
        columns = {key: _joined([_json(piece[key]) for piece in pieces]) for key in pieces[0]}
        content = (
            next(iter(columns.values()))
            if single
            else b"{%s}" % b",".join(b'"%s":%s' % (key.encode(), column) for key, column in columns.items())
        )
        return b'{"outputs":%s}' % content
    rows = []
    for piece in pieces:
        values = {key: _listed(value) for key, value in piece.items()}
        named = next(iter(values.values())) if single else _rows(values)
        rows.append(msgspec.json.encode(named))
    return b'{"predictions":%s}' % _joined(rows)


def _rows(values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _joined(lists: list[bytes]) -> bytes:
    """JSON lists as one list."""
    return lists[0] if len(lists) == 1 else b"[%s]" % b",".join(text[1:-1] for text in lists)


def _json(array: np.ndarray) -> bytes:
    return msgspec.json.encode(_listed(array))


def _listed(array: np.ndarray) -> Any:
    if array.dtype == object:
        return np.vectorize(lambda item: {"b64": base64.b64encode(item).decode()}, otypes=[object])(array).tolist()
    return array.tolist()  # numbers that are not finite become null


def _described(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": [-1 if size is None else size for size in spec.shape]}

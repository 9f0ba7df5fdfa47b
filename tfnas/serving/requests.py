"""Predict requests in the JSON of TensorFlow Serving: read against the types of a signature, without coercion.

JSON is parsed straight into the type, rank and shape that the signature asks for, so that a value of another form ends
the parsing where it stands.

References:
  https://www.tensorflow.org/tfx/serving/api_rest
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.serving.limits import Limits

DEFAULT_SIGNATURE = "serving_default"
_LARGEST_JSON_INTEGER = 2**63 - 1


class RequestTooLargeError(ConfigurationError):
    """A request is larger than the server's limits."""


class Base64(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes in JSON: `{"b64": ...}`."""

    b64: bytes


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """A request whose tensors are not parsed yet.

    Attributes:
      signature_name: name of the signature.
      inputs: JSON of whole tensors by name.
      instances: JSON of a list with a row of every tensor.
    """

    signature_name: str = DEFAULT_SIGNATURE
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _parsed(content: Any, kind: Any, origin: str) -> Any:
    """JSON as an instance of a type.

    Raises:
      ConfigurationError: the content is not JSON, or not of the type, with the path of the value at fault.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).replace("`", "").partition(" - at $")
        where = f"{origin}{path}".lstrip(".") or "the request"
        raise ConfigurationError(f"{where}: {what[:1].lower()}{what[1:]}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the request: not JSON ({error})") from error
    except RecursionError as error:
        raise ConfigurationError("the request: brackets are nested too deeply") from error


def read_envelope(content: bytes | bytearray, limits: Limits) -> Envelope:
    """The envelope of a request.

    Raises:
      RequestTooLargeError: more values than the limits allow.
      ConfigurationError: not a JSON object with either `inputs` or `instances`.
    """
    # Every value but the first of a list or an object follows a comma.
    if content.count(b",") >= limits.request_values:
        raise RequestTooLargeError(f"the request: more than {limits.request_values} values")
    envelope: Envelope = _parsed(content, Envelope, "")
    if (envelope.inputs is msgspec.UNSET) == (envelope.instances is msgspec.UNSET):
        raise ConfigurationError("the request: expected a JSON object with either 'inputs' or 'instances'")
    return envelope


def _value_type(dtype: tf.DType) -> Any:
    """The type of one value in JSON."""
    if dtype == tf.string:
        return str | Base64
    if dtype == tf.bool:
        return bool
    if dtype.is_floating:
        return float
    if dtype.is_integer:
        return Annotated[int, msgspec.Meta(ge=int(dtype.min), le=min(int(dtype.max), _LARGEST_JSON_INTEGER))]
    raise ConfigurationError(f"inputs of type {dtype.name} have no form in JSON")


def tensor_type(spec: tf.TensorSpec, row: bool = False, most: int | None = None) -> Any:
    """The type of a tensor in JSON, as msgspec takes types.

    Args:
      spec: type and shape of the tensor.
      row: True for a row of the tensor, without its first dimension.
      most: bound on the size of an open first dimension; no bound by default.
    """
    kind = _value_type(spec.dtype)
    sizes = list(spec.shape)
    for position, size in reversed(list(enumerate(sizes))[row:]):
        if size is not None:
            kind = Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]
        elif position == 0 and most is not None:
            kind = Annotated[list[kind], msgspec.Meta(min_length=1, max_length=most)]
        else:
            kind = list[kind]
    return kind


class RequestReader:
    """Reads the tensors of requests to a signature.

    Args:
      name: name of the signature.
      specs: inputs by name.
      independent: whether rows of the inputs do not depend on each other, so that they can be given as `instances`.
      limits: bounds on requests.
    """

    def __init__(self, name: str, specs: Mapping[str, tf.TensorSpec], independent: bool, limits: Limits):
        self._name = name
        self._specs = dict(specs)
        self._independent = independent
        most = limits.instances if independent else None
        self._columns = self._types(f"{name}_inputs", lambda spec: tensor_type(spec, most=most))
        if independent:
            self._rows = self._types(f"{name}_instance", lambda spec: tensor_type(spec, row=True))
        self._list_of_rows = msgspec.Meta(min_length=1, max_length=limits.instances)

    def _types(self, name: str, type_of: Any) -> tuple[Any, Any]:
        """The type of an object with all inputs, and of the only input without its name if there is only one."""
        fields = [(key, type_of(spec), msgspec.field(name=key)) for key, spec in sorted(self._specs.items())]
        named = msgspec.defstruct(name, fields, forbid_unknown_fields=True)
        return named, fields[0][1] if len(fields) == 1 else named

    def json_types(self) -> dict[str, Any]:
        """The types of `inputs` and `instances`, for a JSON schema."""
        types: dict[str, Any] = {"inputs": self._columns[0]}
        if self._independent:
            types["instances"] = list[self._rows[0]]  # type: ignore[name-defined]
        return types

    def read(self, envelope: Envelope) -> dict[str, np.ndarray]:
        """The tensors of a request by name.

        Raises:
          ConfigurationError: tensors of another type or shape, too many rows, inputs with different numbers of rows, or
            `instances` for a signature whose rows depend on each other.
        """
        if envelope.inputs is not msgspec.UNSET:
            given = self._parse("inputs", envelope.inputs, self._columns[self._bare(envelope.inputs)])
            columns = self._by_name(given)
        else:
            if not self._independent:
                raise ConfigurationError(f"{self._name}: rows are not independent, expected 'inputs', not 'instances'")
            kind = self._rows[self._bare(envelope.instances)]
            rows = self._parse("instances", envelope.instances, Annotated[list[kind], self._list_of_rows])
            named = [self._by_name(row) for row in rows]
            columns = {key: [row[key] for row in named] for key in self._specs}
        arrays = {key: _array(key, columns[key], spec) for key, spec in self._specs.items()}
        if self._independent:
            self._check_rows(arrays)
        return arrays

    def _bare(self, content: Any) -> bool:
        """Whether the only input comes without its name."""
        if len(self._specs) > 1:
            return False
        (name,) = self._specs
        return not re.match(rb'[\s\[]*\{\s*"%s"\s*:' % re.escape(name.encode()), content)

    def _parse(self, origin: str, content: Any, kind: Any) -> Any:
        try:
            return _parsed(content, kind, origin)
        except ConfigurationError as error:
            shapes = ", ".join(f"{key} {described(spec)}" for key, spec in sorted(self._specs.items()))
            raise ConfigurationError(f"{error}; {self._name} takes {shapes}") from error

    def _by_name(self, given: Any) -> dict[str, Any]:
        if isinstance(given, msgspec.Struct) and not isinstance(given, Base64):
            return dict(zip(sorted(self._specs), (getattr(given, key) for key in sorted(self._specs)), strict=True))
        return dict.fromkeys(self._specs, given)

    def _check_rows(self, arrays: Mapping[str, np.ndarray]) -> None:
        first, *following = arrays
        for other in following:
            if len(arrays[first]) != len(arrays[other]):
                raise ConfigurationError(
                    f"{self._name}: {first} has {len(arrays[first])} rows and {other} has {len(arrays[other])}, "
                    "expected equal numbers"
                )


def described(spec: tf.TensorSpec) -> str:
    """Type and shape of a tensor as text, -1 for dimensions of any size."""
    return f"{spec.dtype.name} {[-1 if size is None else size for size in spec.shape]}"


def _array(name: str, values: Any, spec: tf.TensorSpec) -> np.ndarray:
    if spec.dtype == tf.string:
        array = np.array(_bytes(values), object)
    else:
        try:
            with np.errstate(over="ignore"):
                array = np.array(values, spec.dtype.as_numpy_dtype)
        except (ValueError, OverflowError) as error:
            raise ConfigurationError(f"{name}: lists of different lengths, expected {described(spec)}") from error
        if spec.dtype.is_floating and not np.isfinite(array).all():
            position = "".join(f"[{index}]" for index in np.argwhere(~np.isfinite(array))[0])
            raise ConfigurationError(f"{name}{position}: number out of the range of {spec.dtype.name}")
    if array.ndim != spec.shape.rank:  # an empty list of lists
        array = array.reshape([size or 0 for size in spec.shape])
    return array


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(item) for item in value]
    return value.b64 if isinstance(value, Base64) else value.encode()

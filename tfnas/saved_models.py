"""SavedModels: the folder of the shipped models, and how a model is written, warmed up and opened."""

import json
import math
import os
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.saved_model_operations import check_operations

_INSTALLED, _CHECKOUT = pathlib.Path(__file__).with_name("shipped"), pathlib.Path(__file__).parents[1] / "saved_models"
SAVED_MODEL_FILES = ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")
"""Files of every SavedModel that `save_module` writes."""
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def shipped_names() -> list[str]:
    """Names of the models that ship with tfnas, in alphabetical order."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{artefacts.MANIFEST_NAME}"))


def model_path(name_or_path: artefacts.PathLike) -> pathlib.Path:
    """The path of a model of any kind: the folder of a shipped model for its name, and other paths as they are.

    The name of a shipped model always means the shipped model; `./name` is a file or folder of the same name.

    Args:
      name_or_path: name of a shipped model, or a path, where `~` is the user's home.
    """
    name = os.fspath(name_or_path)
    return SHIPPED / name if name in shipped_names() else pathlib.Path(name).expanduser()


def folder(name_or_folder: artefacts.PathLike) -> pathlib.Path:
    """The folder of a model that tfnas exported.

    Args:
      name_or_folder: name of a shipped model, or a folder, as `model_path` takes them.

    Raises:
      ConfigurationError: neither the name of a shipped model nor an existing folder.

    Example:
      >>> folder("cg_encoder") == SHIPPED / "cg_encoder"
      True
    """
    path = model_path(name_or_folder)
    if not os.fspath(name_or_folder) or not path.is_dir():
        shipped = ", ".join(shipped_names())
        raise ConfigurationError(
            f"{os.fspath(name_or_folder)!r}: neither an existing folder nor the name of a shipped model ({shipped})"
        )
    return path


def load_module(folder: artefacts.PathLike, *, trust: bool = False) -> Any:
    """The SavedModel in a folder. A SavedModel is a program: its graph runs here, with the rights of this process.

    Args:
      folder: folder of the SavedModel.
      trust: True to open a SavedModel whatever its graph does, because its maker is trusted; by default a graph with an
        operation that exports of tfnas don't have, such as one that writes files, is refused before it is loaded.

    Raises:
      CorruptArtefactError: TensorFlow can't load it.
      UntrustedModelError: see `saved_model_operations.check_operations`.
    """
    if not trust:
        check_operations(folder)
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # the loader lets through whatever error its parsers meet in foreign bytes
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CorruptArtefactError(f"{folder}: not a loadable SavedModel ({reason})") from error


def read_variable(folder: artefacts.PathLike, name: str, shape: Sequence[int]) -> np.ndarray:
    """A variable of a SavedModel, without its program, which is neither loaded nor run.

    Args:
      folder: folder of the SavedModel.
      name: attribute of the saved module that holds the variable.
      shape: shape that the variable must have.

    Returns:
      float32 of the shape.

    Raises:
      CorruptArtefactError: no such variable of numbers of 32 bits, another shape, or a damaged file.
    """
    prefix, key = pathlib.Path(folder) / "variables" / "variables", f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
    try:
        # The file bounds what is allocated.
        size = pathlib.Path(f"{prefix}.data-00000-of-00001").stat().st_size
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        if shapes.get(key) != list(shape) or types[key] != tf.float32 or 4 * math.prod(shape) > size:
            raise CorruptArtefactError(f"{prefix}.index: {name} of the shape {shapes.get(key)}, expected {list(shape)}")
        return reader.get_tensor(key)
    except CorruptArtefactError:
        raise
    except Exception as error:  # the reader lets through whatever error its parsers meet in foreign bytes
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CorruptArtefactError(f"{prefix}.index: not the variables of a SavedModel ({reason})") from error


def save_module(
    module: tf.Module, folder: pathlib.Path, signatures: Mapping[str, Any], example: bytes | None = None
) -> None:
    """Writes a SavedModel and requests that warm it up, each tried once.

    The SavedModel lacks the file in which TensorFlow keeps a random number, so that equal models have equal bytes.

    Args:
      module: module with the functions and their variables.
      folder: existing folder of the SavedModel.
      signatures: functions by name.
      example: a serialised tf.train.Example for those that take any.
    """
    tf.saved_model.save(module, str(folder), signatures=dict(signatures))
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    write_requests(folder, signatures, example)


def save_classifier(model: Any, folder: artefacts.PathLike, image_shape: Sequence[int]) -> None:
    """Writes a Keras classifier of images as a SavedModel that needs nothing but TensorFlow.

    The signature `serving_default` takes `images` float32 `[B, height, width, channels]` and gives `logits` float32
    `[B, classes]`.

    Args:
      model: Keras model, of version 2 or 3, that was called before.
      folder: folder of the SavedModel; replaced as a whole.
      image_shape: height, width and channels.
    """
    module = tf.Module(name="classifier")
    module.weights = list(model.variables)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *image_shape], tf.float32, "images")])
    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model(images, training=False)}

    module.classify = classify
    with artefacts.atomic_folder(folder) as staging:
        save_module(module, staging, {"serving_default": classify})


def save_keras_file(model: Any, path: artefacts.PathLike, **facts: Any) -> None:
    """Writes a model of Keras 3 as a `.keras` file, with the same bytes for the same model.

    Args:
      model: functional model of Keras 3.
      path: file, which ends in `.keras`.
      **facts: JSON values that `metadata.json` of the file holds under `tfnas`.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = pathlib.Path(folder) / "model.keras"
        model.save(written)
        with zipfile.ZipFile(written) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(contents["metadata.json"])
    del metadata["date_saved"]
    # Keras tells shared objects apart by their addresses in memory.
    numbers: dict[bytes, int] = {}
    contents["config.json"] = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda match: b"%d" % numbers.setdefault(match[0], len(numbers)),
        contents["config.json"],
    )
    contents["metadata.json"] = json.dumps(metadata | {"tfnas": facts}, indent=2).encode()
    with artefacts.atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # the fixed default date keeps the bytes reproducible


FILE_NAME = "assets.extra/tf_serving_warmup_requests"


def write_requests(folder: pathlib.Path, signatures: Mapping[str, Any], example: bytes | None = None) -> None:
    """Writes one request for every signature of a SavedModel, each tried once here.

    Numbers are zeros, and dimensions of any size are 1.

    Args:
      folder: folder of the SavedModel.
      signatures: functions of the SavedModel by name.
      example: value of inputs that are strings; none by default.

    Raises:
      ConfigurationError: an input is a string, and there is no example.

    References:
      https://www.tensorflow.org/tfx/serving/saved_model_warmup
    """
    # Only who writes a model needs these protos, not everybody who loads one.
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    path = folder / FILE_NAME
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in sorted(signatures.items()):
            inputs = {spec.name: _value(spec, example) for spec in input_specs(function).values()}
            function(**{key: tf.constant(tf.make_ndarray(value)) for key, value in inputs.items()})
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name="warmup", signature_name=name), inputs=inputs
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))


def input_specs(function: Any) -> dict[str, tf.TensorSpec]:
    """The inputs of a signature by name, of a SavedModel that was loaded or is about to be saved."""
    if hasattr(function, "structured_input_signature"):
        arguments, named = function.structured_input_signature
    else:
        arguments, named = function.input_signature, {}
    return {spec.name: spec for spec in arguments} | dict(named)


def _value(spec: tf.TensorSpec, example: bytes | None) -> tensor_pb2.TensorProto:
    if spec.dtype == tf.string and example is None:
        raise ConfigurationError(f"the input {spec.name!r} takes strings, and there is no example of one")
    shape = [1 if size is None else size for size in spec.shape]
    if 0 in shape:
        return tf.make_tensor_proto(np.zeros(shape, spec.dtype.as_numpy_dtype))
    one = example if spec.dtype == tf.string else spec.dtype.as_numpy_dtype(0)
    return tf.make_tensor_proto(one, spec.dtype, shape)  # it stands for all

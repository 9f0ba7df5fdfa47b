"""Names of a Keras model's layers, from the names that TensorFlow gives to their operations."""

import re
from collections.abc import Sequence
from typing import Any

_INPUT = re.compile(r"(?:tfnas_)?input_(\d+)")
_NUMBER = re.compile(r"_\d+$")


def layer_names(names: Sequence[str], model: Any) -> tuple[str, ...]:
    """Paths such as `block/conv/convolution`: layers from the outside in as the model names them, then the operation.

    Keras 3 opens the scope of a layer twice, so that TensorFlow numbers the scope; the name of the model goes first.

    Args:
      names: names of operations; those of inputs are the names that the importer gives them.
      model: model of Keras 3 or of tf_keras.
    """
    known = {layer.name for layer in model._flatten_layers()}
    inputs = [tensor._keras_history[0].name for tensor in getattr(model, "inputs", None) or ()]

    def readable(name: str) -> str:
        match = _INPUT.fullmatch(name)
        if match and int(match[1]) < len(inputs):
            return inputs[int(match[1])]
        first, *rest = name.split("/")
        if not rest:
            return name
        if first == model.name:
            return "/".join(rest)
        if _NUMBER.sub("", first) != model.name:
            return name
        plain = (_NUMBER.sub("", scope) for scope in rest)
        return "/".join(short if short in known else scope for short, scope in zip(plain, rest, strict=True))

    return tuple(map(readable, names))

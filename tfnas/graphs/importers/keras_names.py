"""Names of a Keras model's layers, from the names that TensorFlow gives to their operations."""

import re
from collections.abc import Collection, Sequence

_INPUT = re.compile(r"(?:tfnas_)?input_(\d+)")
_NUMBER = re.compile(r"_\d+$")


def layer_names(names: Sequence[str], model: str, known: Collection[str], inputs: Sequence[str]) -> tuple[str, ...]:
    """Paths such as `block/conv/convolution`: layers from the outside in as the model names them, then the operation.

    Keras 3 opens the scope of a layer twice, so that TensorFlow numbers the scope; the name of the model goes first.

    Args:
      names: names of operations; those of inputs are the names that the importer gives them.
      model: name of the model.
      known: names of all layers, those of inner models included.
      inputs: names of the inputs.

    Example:
      >>> layer_names(["tfnas_input_0", "net_2/conv_1/Relu"], "net", {"conv"}, ["image"])
      ('image', 'conv/Relu')
    """

    def readable(name: str) -> str:
        match = _INPUT.fullmatch(name)
        if match and int(match[1]) < len(inputs):
            return inputs[int(match[1])]
        first, *rest = name.split("/")
        if not rest:
            return name
        if first == model:
            return "/".join(rest)
        if _NUMBER.sub("", first) != model:
            return name
        plain = (_NUMBER.sub("", scope) for scope in rest)
        return "/".join(short if short in known else scope for short, scope in zip(plain, rest, strict=True))

    return tuple(map(readable, names))

"""One signature of a SavedModel: what it takes and gives, and a call whose errors tell the row at fault."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.saved_models import input_specs

Arrays = dict[str, np.ndarray]

_LONGEST_REASON = 300
# Lines of TensorFlow's messages that tell of its graph and not of the input.
_UNINFORMATIVE = re.compile(
    r"Graph execution error:|Detected at node .*|<stack traces unavailable>|.* root error\(s\) found\."
)
_GRAPH = re.compile(
    r"\{\{function_node .*?\}\}\s*|\[\[\{\{node .*?\}\}\]\]|\s*\[Op:\w+\].*|Name: <unknown>, ", re.DOTALL
)


class Signature:
    """A function of a SavedModel.

    Args:
      name: name of the signature.
      function: concrete function of a loaded SavedModel.

    Attributes:
      name: name of the signature.
      inputs: type and shape of the inputs by name.
      outputs: type and shape of the outputs by name.
      independent: whether rows do not depend on each other. Rows of serialised examples do not, nor do rows of inputs
        that all have two dimensions or more, of which only the first is open; flat arrays of graphs depend.
    """

    def __init__(self, name: str, function: Any):
        self.name = name
        self.inputs = dict(sorted(input_specs(function).items()))
        self.outputs = dict(sorted(function.structured_outputs.items()))
        self.independent = list(self.inputs) == ["examples"] or all(
            spec.shape.rank >= 2 and spec.shape[0] is None for spec in self.inputs.values()
        )
        self._function = function

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Outputs by name.

        Raises:
          ConfigurationError: TensorFlow refuses the values.
        """
        tensors = {key: tf.constant(arrays[key], spec.dtype) for key, spec in self.inputs.items()}
        try:
            outputs = self._function(**tensors)
            return {key: outputs[key].numpy() for key in self.outputs}
        except tf.errors.OpError as error:
            raise ConfigurationError(f"{self.name}: {_reason(error.message)}") from error
        except UnicodeDecodeError as error:  # TensorFlow's message quotes bytes of the input
            reason = _reason(error.object.decode(errors="replace"))
            raise ConfigurationError(f"{self.name}: {reason}") from error

    def prepared(self, arrays: Mapping[str, np.ndarray]) -> tuple["Signature", Arrays]:
        """The signature to call and its inputs.

        Serialised examples that TensorFlow would have to expand before it could refuse them are refused here.

        Raises:
          ConfigurationError: an instance is no tf.train.Example, or declares more nodes or edges than it has bytes for.
        """
        for number, example in enumerate(arrays.get("examples", ())):
            try:
                features = tf.train.Example.FromString(example).features.feature
            except Exception as error:
                raise ConfigurationError(
                    f"{self.name}: instance {number}: not a serialised tf.train.Example of {len(example)} bytes"
                ) from error
            for key, feature in features.items():
                if key.endswith(".#size") and sum(map(abs, feature.int64_list.value)) > len(example):
                    raise ConfigurationError(
                        f"{self.name}: instance {number}: {key} declares {sum(feature.int64_list.value)} items, in an "
                        f"example of {len(example)} bytes"
                    )
        return self, dict(arrays)

    def first_fault(self, arrays: Mapping[str, np.ndarray], offset: int = 0) -> ConfigurationError:
        """The error of the first row that TensorFlow refuses.

        Args:
          arrays: inputs of independent rows that were refused together.
          offset: number of the first row in the client's request.
        """
        start, stop = 0, len(next(iter(arrays.values())))
        error = ConfigurationError(f"{self.name}: the rows are refused together, and each row is accepted alone")
        while start < stop:
            middle = max(start + 1, (start + stop) // 2)
            try:
                self({key: value[start:middle] for key, value in arrays.items()})
                start = middle
            except ConfigurationError as refusal:
                if middle == start + 1:
                    reason = str(refusal).removeprefix(f"{self.name}: ")
                    return ConfigurationError(f"{self.name}: instance {offset + start}: {reason}")
                stop = middle
        return error


def _reason(message: str) -> str:
    """The part of TensorFlow's message that tells of the input, on one line."""
    message = _GRAPH.sub("", message)
    message = message.partition(", value: '")[0]
    lines = [line.strip() for line in message.splitlines() if line.strip() and not _UNINFORMATIVE.fullmatch(line)]
    reason = "".join(character if character.isprintable() else "?" for character in " ".join(lines))
    return reason[:_LONGEST_REASON] or "TensorFlow refuses the values"

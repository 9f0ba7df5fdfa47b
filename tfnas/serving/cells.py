"""Cells as texts: a signature that a server adds to an encoder of cells, which a SavedModel alone can't offer."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.serving.signatures import Arrays, Signature
from tfnas.spaces import Space

_LONGEST_TEXT = 4096


class CellSignature(Signature):
    """The signature `encode_cells`: `encode` for texts in a form that the search space reads.

    Args:
      encode: signature with the inputs `ops` and `adjacency`.
      space: search space of the cells.
    """

    def __init__(self, encode: Signature, space: Space):
        self.name = "encode_cells"
        self.inputs = {"cells": tf.TensorSpec([None], tf.string, "cells")}
        self.outputs = encode.outputs
        self.independent = True
        self._encode = encode
        self._space = space

    def prepared(self, arrays: Mapping[str, np.ndarray]) -> tuple[Signature, Arrays]:
        """The signature `encode` and its inputs.

        Raises:
          ConfigurationError: a text stands for no architecture of the space.
        """
        cells = self._space.to_table([self._read(number, text) for number, text in enumerate(arrays["cells"])])
        ops = cells.one_hot(len(self._space.operations))
        return self._encode, {"ops": ops, "adjacency": cells.adjacency.astype(np.float32)}

    def _read(self, number: int, text: bytes) -> object:
        try:
            if len(text) > _LONGEST_TEXT:
                raise InvalidArchitectureError(f"a text of {len(text)} bytes, expected at most {_LONGEST_TEXT}")
            return self._space.read(text.decode())
        except (InvalidArchitectureError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.name}: instance {number}: {error}") from error

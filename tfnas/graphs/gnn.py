"""TF-GNN, imported once something of it is used: `gnn.GraphTensor` is `tensorflow_gnn.GraphTensor`.

TF-GNN needs Keras 2 behind the name `tf.keras`. TensorFlow settles which Keras that is when `tf.keras` is first used,
by the environment variable TF_USE_LEGACY_KERAS. No other module of tfnas says `tf.keras` or imports TF-GNN: Keras 2 is
`tf_keras`, and opening an exported model needs neither of them.
"""

import functools
import os
import types
from typing import Any

from tfnas.errors import LegacyKerasError

_VARIABLE = "TF_USE_LEGACY_KERAS"


@functools.cache
def load() -> types.ModuleType:
    """The package tensorflow_gnn; `tf.keras` is Keras 2 from then on.

    Raises:
      LegacyKerasError: `tf.keras` has been used as Keras 3 already.
    """
    import tensorflow as tf
    import tf_keras

    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    try:
        legacy = tf.keras.Model is tf_keras.Model
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
    if not legacy:
        raise LegacyKerasError(
            "tf.keras is Keras 3 in this process, and TF-GNN needs Keras 2 there: start a process that does not use "
            f"tf.keras before, or set {_VARIABLE}=1 before TensorFlow is imported"
        )
    import tensorflow_gnn

    return tensorflow_gnn


def __getattr__(name: str) -> Any:
    if name.startswith("_"):  # Python asks modules for names of its own
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(load(), name)

"""Names of `tf.distribute` strategies, as flags spell them."""

import tensorflow as tf

from tfnas.errors import ConfigurationError

STRATEGY_NAMES = ("default", "mirrored", "multi_worker")


def get_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of that name.

    `mirrored` uses every GPU, or every logical CPU where there is no GPU; `multi_worker` reads `TF_CONFIG`.

    Raises:
      ConfigurationError: no such strategy.
    """
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise ConfigurationError(f"unknown strategy {name!r}, expected one of {', '.join(STRATEGY_NAMES)}")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run's files."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_type == "worker" and resolver.task_id == 0)

"""Settings of the TensorFlow runtime that must be made before it starts, and work on all processors."""

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_thread_per_operation() -> None:
    """Lets every operation on a CPU run on one thread.

    A matrix product that several threads share is rounded as their number has it: on one thread the same seed gives the
    same bits on every machine of one kind. And work that is parallel across networks or chunks is faster so: two small
    networks that train side by side, each on one thread, take less than half the time of one after the other on two.

    Raises:
      RuntimeError: TensorFlow has started already.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)


def one_device_per_core(count: int = 0) -> None:
    """Makes a logical CPU of every core, so that as many programs can run side by side, each on one thread.

    One program must not run twice at a time on one device: convolutions keep memory of their own per device.

    Args:
      count: how many; 0 for one per core.

    Raises:
      RuntimeError: TensorFlow has started already.
    """
    import tensorflow as tf

    one_thread_per_operation()
    physical = tf.config.list_physical_devices("CPU")[0]
    configurations = [tf.config.LogicalDeviceConfiguration()] * (count or os.cpu_count() or 1)
    tf.config.set_logical_device_configuration(physical, configurations)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results of a function for every item, in order, computed on as many threads as there are processors.

    Args:
      function: function that releases the interpreter most of the time, as TensorFlow, NumPy and SciPy do.
      items: arguments of the calls.
    """
    import joblib

    return joblib.Parallel(n_jobs=-1, require="sharedmem")(joblib.delayed(function)(item) for item in items)

"""Settings of the TensorFlow runtime that must be made before it starts, and work on all processors."""

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_thread_per_operation() -> None:
    """Lets every operation on a CPU run on one thread.

    The rounding of a matrix product depends on the number of threads that share it: on one thread the same seed gives
    the same bits on every machine of one kind. Work that is parallel across networks or chunks is faster too: two small
    networks that train side by side on a thread each take less than half the time of two networks in turn on two
    threads.

    Raises:
      RuntimeError: TensorFlow has started already.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)


def one_device_per_core(count: int = 0) -> None:
    """Makes a logical CPU of every core, so that a program can run on each, on one thread.

    A program must not run twice at a time on the same device: convolutions keep memory per device.

    Args:
      count: number of logical CPUs; 0 for one per core.

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

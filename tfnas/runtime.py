"""Settings of the TensorFlow runtime that must be made before it starts, and work on all processors."""

import atexit
import concurrent.futures
import contextlib
import functools
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    import threadpoolctl

Item = TypeVar("Item")
Result = TypeVar("Result")


# Lines that TensorFlow prints on a healthy machine whenever it starts, after a prefix with level, time and source file.
_PREFIX = rb"([IWE]\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: [IWE] )(\S+/)?"
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$"
    rb"|To enable the following instructions: [\w ]+, in other operations, rebuild TensorFlow with the appropriate"
    rb"|" + _PREFIX + rb"(port\.cc:\d+\] oneDNN custom operations are on\."
    rb"|cudart_stub\.cc:\d+\] Could not find cuda drivers on your machine, GPU will not be used\.$"
    rb"|cpu_feature_guard\.cc:\d+\] This TensorFlow binary is optimized to use available CPU instructions"
    # 303 says that the library of the driver is not there, 100 that no device is.
    rb"|cuda_\w+\.cc:\d+\] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: .*\((303|100)\)$"
    rb"|cuda_\w+\.cc:\d+\] Unable to register cu(FFT|DNN|BLAS) factory: Attempting to register factory for plugin"
    rb"|computation_placer\.cc:\d+\] computation placer already registered\.)"
)


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Leaves lines out of the standard error that TensorFlow prints on every machine when it starts.

    All other lines pass, also of libraries that write to file descriptor 2 and of a process that dies meanwhile: a
    process of its own reads the lines.
    """
    if sys.stderr is None:  # the process was started without it
        yield
        return
    sys.stderr.flush()
    original = os.dup(2)
    reader, writer = os.pipe()
    filter_process = os.fork()
    if not filter_process:
        os.close(writer)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the lines is the end of this process
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                if not _NOISE.match(line):
                    os.write(original, line)
        os._exit(0)
    os.close(reader)
    os.dup2(writer, 2)
    os.close(writer)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)
        os.close(original)
        os.waitpid(filter_process, 0)


def collect_seldom() -> None:
    """Lets the collector of garbage run after 10,000 new objects, and not after 700.

    TensorFlow makes hundreds of objects for every operation that it traces, and nearly none is garbage; a collection
    after every 700 takes a tenth of the time of tracing.
    """
    gc.set_threshold(10_000, *gc.get_threshold()[1:])


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Lets the collector of garbage rest while modules are imported, and pass over the modules from then on."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


class _QuietLoader(importlib.abc.Loader):
    """Loads TensorFlow `without_noise`; looks for devices, and bounds the threads of an operation, if told to."""

    def __init__(self, loader: importlib.abc.Loader, finder: "_QuietFinder"):
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with without_noise(), without_collections():
            self._loader.exec_module(module)
            if self._finder.one_thread:
                module.config.threading.set_intra_op_parallelism_threads(1)
            if self._finder.look_for_devices and not module.config.list_physical_devices("GPU"):
                os.environ[QUIET_WORKERS] = _NO_GPU


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow once, for a `_QuietLoader`."""

    def __init__(self, look_for_devices: bool):
        self.look_for_devices, self.one_thread = look_for_devices, False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader, self)
        return spec


_LIBRARIES = ("keras", "tf_keras")
_HIDDEN = ("IPython", "matplotlib", "pandas", "sklearn")


class _LeanFinder(importlib.abc.MetaPathFinder):
    """Hides packages from Keras alone, which takes them along where they are installed, for uses that tfnas has not.

    They take half of the time in which TensorFlow, and Keras with it, is imported.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None) -> None:
        if name not in _HIDDEN:
            return
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and _package(frame) in ("importlib", "_frozen_importlib"):
            frame = frame.f_back
        if frame is not None and _package(frame) in _LIBRARIES:
            raise ModuleNotFoundError(f"{name} is hidden from {_package(frame)}", name=name)


def _package(frame: types.FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]


QUIET_WORKERS = "TFNAS_QUIET_WORKERS"
"""Variable in the environment of processes that a binary starts, which call `quiet_worker` when they import tfnas."""
_GPU, _NO_GPU = "a GPU or none", "no GPU"  # what the binary knows of the machine


def quiet_worker() -> None:
    """Lets TensorFlow, when a process that a binary started imports it, start as in the binary.

    A process that is forked later must not have looked for GPUs, unless there is none.
    """
    _quiet_import(look_for_devices=os.environ[QUIET_WORKERS] == _NO_GPU, whole_keras=False)


def _quiet_import(look_for_devices: bool, whole_keras: bool) -> None:
    """Lets TensorFlow, when it is imported, start `without_noise`, and without packages that Keras does not need."""
    sys.meta_path[:0] = [_QuietFinder(look_for_devices), *([] if whole_keras else [_LeanFinder()])]


def prepare_tensorflow(whole_keras: bool = False) -> None:
    """Lets TensorFlow start without noise and in half the time, in a binary and in the processes that it starts.

    TF_CPP_MIN_LOG_LEVEL=0 in the environment shows all that TensorFlow prints. If TensorFlow has been imported, nothing
    changes in this process.

    Args:
      whole_keras: True for a binary that runs code of the user, who may give Keras a table of pandas.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") != "0":
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        os.environ[QUIET_WORKERS] = _GPU
        if "tensorflow" not in sys.modules:
            _quiet_import(look_for_devices=True, whole_keras=whole_keras)


def say(text: str) -> None:
    """Writes a line to the standard error, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()


def close_bars() -> None:
    """Closes progress bars that an exception has left open, so that its message begins a line."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is not None:
        for bar in list(tqdm.tqdm._instances):
            bar.close()


@contextlib.contextmanager
def progress(**options: object) -> Iterator[Callable[[], object]]:
    """Gives a function that moves a bar one step ahead; the bar is seen in a terminal alone, and vanishes at the end.

    A worker shows no bar. It must not make one: the bar's lock would outlive a worker that is killed.

    Args:
      **options: total, title and unit of the bar, as tqdm takes them.
    """
    if multiprocessing.parent_process() is not None:
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(leave=False, disable=None, **options) as bar:
        yield bar.update


_SECONDS_TO_RAISE = 3.0
_leaving = threading.Lock()


@contextlib.contextmanager
def ending_when_interrupted(message: str) -> Iterator[None]:
    """Lets the process `leave` if SIGINT comes during a block; for the main thread.

    Python raises KeyboardInterrupt when a call of a library returns. Some libraries turn it into another error, and the
    compilation of a network returns late: three seconds after SIGINT the process leaves whatever it is at. After the
    block SIGINT is ignored, so that work that is done ends as done. Nothing happens where another handler than Python's
    has SIGINT.

    Args:
      message: last line on the standard error.
    """
    heard = False

    def interrupt(*_: object) -> None:
        nonlocal heard
        heard = True
        raise KeyboardInterrupt

    def watch() -> None:
        while signals := os.read(reader, 1):
            if signals[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) is interrupt:
                time.sleep(_SECONDS_TO_RAISE)
                close_bars()
                leave(message)
        os.close(reader)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except BaseException:
        if heard:
            leave(message)
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(before)
        os.close(writer)


def leave(message: str, code: int = 1) -> NoReturn:
    """Ends this process and its workers in the middle of their work.

    The process does not wait for its threads. An interpreter that ends on its own waits for some threads and aborts the
    process if others are in C++ code.

    Args:
      message: last line on the standard error.
      code: exit code.
    """
    _leaving.acquire()  # another thread that leaves waits for the end
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing more to end
    print(message, file=sys.stderr)
    for worker in multiprocessing.active_children():
        worker.kill()
    atexit._run_exitfuncs()  # which give back files and semaphores
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def hold_if_leaving() -> None:
    """Waits for the end if this process leaves: that a worker is gone then says nothing about the worker's task."""
    if _leaving.locked():
        threading.Event().wait()


def one_thread_per_operation() -> None:
    """Lets every operation on a CPU run on one thread. A binary that has not imported TensorFlow yet does so later.

    The rounding of a matrix product depends on the number of threads that share it: on one thread the same seed gives
    the same bits on every machine of one kind. Work that is parallel across networks or chunks is faster too: two small
    networks that train side by side on a thread each take less than half the time of two networks in turn on two
    threads.

    Raises:
      RuntimeError: TensorFlow has started already.
    """
    waiting = [finder for finder in sys.meta_path if isinstance(finder, _QuietFinder)]
    if waiting and "tensorflow" not in sys.modules:
        waiting[0].one_thread = True
        return

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

    Matrix products of NumPy and SciPy run on one thread each, so that their rounding does not depend on the machine.

    Args:
      function: function that releases the interpreter most of the time, as TensorFlow, NumPy and SciPy do.
      items: arguments of the calls.
    """
    import joblib

    items = list(items)
    threads = min(len(items), joblib.cpu_count())
    with _libraries(len(sys.modules)).limit(limits=1):
        if threads <= 1:
            return [function(item) for item in items]
        with concurrent.futures.ThreadPoolExecutor(threads) as executor:
            return list(executor.map(function, items))


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> "threadpoolctl.ThreadpoolController":
    """The loaded libraries that have threads; looked for again once the number of loaded modules has changed."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()

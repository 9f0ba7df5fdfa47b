"""Flags that several binaries share, and the line on which an error ends a binary."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from absl import flags
from absl.testing import flagsaver
from tqdm import tqdm

from tests.fork import ROOT
from tfnas import flags as tfnas_flags
from tfnas import runtime
from tfnas.errors import ConfigurationError


@pytest.fixture(scope="module", autouse=True)
def defined():
    tfnas_flags.define_import_options()
    flags.FLAGS.mark_as_parsed()
    yield
    for name in ("input_shape", "dim", "signature", "strict"):
        delattr(flags.FLAGS, name)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, {}),
        ({"input_shape": ["1,3,8,8"]}, {"input_shape": (1, 3, 8, 8)}),
        ({"input_shape": ["ids:1,16"]}, {"input_shape": {"ids": (1, 16)}}),
        ({"input_shape": ["ids:0:1,16", "mask:1,8"]}, {"input_shape": {"ids:0": (1, 16), "mask": (1, 8)}}),
        ({"dim": ["seq=16", "a=b=2"]}, {"dims": {"seq": 16, "a=b": 2}}),
        ({"signature": "serve", "strict": True}, {"signature": "serve", "strict": True}),
    ],
)
def test_options_of_importers(values, options):
    with flagsaver.flagsaver(**values):
        assert tfnas_flags.import_options() == options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_shape": ["1,x"]}, "--input_shape=1,x, expected positive whole numbers"),
        ({"input_shape": ["x:1,0"]}, "--input_shape=x:1,0, expected positive"),
        ({"input_shape": ["1,2", "x:1,2"]}, "several shapes, expected NAME:SHAPE for each"),
        ({"input_shape": ["x:1,2", "x:1,2"]}, "--input_shape=x:1,2: x is given twice"),
        ({"input_shape": ["1,2", "1,2"]}, "--input_shape=1,2: the input is given twice"),
        ({"dim": ["seq"]}, "--dim=seq, expected NAME=EXTENT"),
        ({"dim": ["seq=²"]}, "--dim=seq=², expected positive"),
    ],
)
def test_mistakes(values, message):
    with flagsaver.flagsaver(**values), pytest.raises(ConfigurationError, match=message):
        tfnas_flags.import_options()


def test_a_locale_without_a_character():
    """As LC_ALL=C is without Python's UTF-8 mode."""
    program = "from tfnas import flags; flags.run(lambda: print('0.9 ± 0.1'))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("0.9 ? 0.1\n", 0), done.stderr


@pytest.mark.parametrize("leave", [True, False])
def test_an_error_begins_a_line(leave, capsys):
    """The bar of a generator is open as long as the generator is, which the error's traceback keeps."""
    for _ in (generator := iter(tqdm(range(3), "Graphs", leave=leave))):
        runtime.close_bars()
        print("error: full", file=sys.stderr)
        break
    assert generator is not None
    assert "\nerror: full\n" in capsys.readouterr().err.replace("\r", "\n")


def test_an_interrupted_binary_waits_for_no_thread_and_leaves_no_worker():
    program = (
        "import multiprocessing, threading, time\n"
        "from tfnas import flags\n"
        "def main():\n"
        "    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))\n"
        "    worker.start()\n"
        "    print(worker.pid)\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    raise KeyboardInterrupt\n"
        "flags.run(main)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert time.monotonic() - began < 50
    assert (done.returncode, done.stderr) == (1, "interrupted\n")
    assert not psutil.pid_exists(int(done.stdout))


def ends_as_interrupted(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (1, "interrupted\n")


def test_what_waits_for_a_worker_does_not_see_it_end_with_an_interrupted_binary():
    program = (
        "import atexit, multiprocessing, sys, threading, time\n"
        "from tfnas import flags, runtime\n"
        "def watch(worker):\n"
        "    worker.join()\n"
        "    runtime.hold_if_leaving()\n"
        "    print('starts another worker', file=sys.stderr, flush=True)\n"
        "def main():\n"
        "    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))\n"
        "    worker.start()\n"
        "    threading.Thread(target=watch, args=(worker,)).start()\n"
        "    atexit.register(time.sleep, 1)\n"
        "    raise KeyboardInterrupt\n"
        "flags.run(main)"
    )
    ends_as_interrupted(program)


def test_an_interrupted_binary_does_not_wait_for_a_library():
    """The second lock of a mutex never returns, and no signal breaks it off."""
    program = (
        "import ctypes, os, signal, threading\n"
        "from tfnas import flags\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main():\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    mutex, library = ctypes.create_string_buffer(256), ctypes.CDLL(None)\n"
        "    library.pthread_mutex_lock(mutex)\n"
        "    library.pthread_mutex_lock(mutex)\n"
        "flags.run(main)"
    )
    ends_as_interrupted(program)


@pytest.mark.parametrize("error", ["TypeError", "ConfigurationError"])
@pytest.mark.parametrize("sent", [True, False])
def test_an_interruption_that_a_library_turns_into_an_error_is_an_interruption(error, sent):
    """As TensorFlow does with an interruption while it traces gradients; without SIGINT the error is what it was."""
    program = (
        "import os, signal\n"
        "from tfnas import flags\n"
        "from tfnas.errors import ConfigurationError\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main():\n"
        "    try:\n"
        f"        {'os.kill(os.getpid(), signal.SIGINT)' if sent else 'pass'}\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
        f"    raise {error}('from a library')\n"
        "flags.run(main)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert (done.stderr == "interrupted\n") == sent
    assert ("from a library" in done.stderr) != sent


def test_a_binary_that_is_done_ends_as_done():
    program = (
        "import atexit, os, signal\n"
        "from tfnas import flags\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "flags.run(lambda: atexit.register(os.kill, os.getpid(), signal.SIGINT))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")

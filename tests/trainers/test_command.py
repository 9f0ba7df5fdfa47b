"""The command `tfnas`: what it lists, how it names itself, and that it runs the binaries."""

import functools
import os
import re
import subprocess
import sys

import pytest

import tfnas
from tests import fork
from tests.fork import ROOT
from tests.trainers.test_binaries import BINARIES
from trainers import __main__ as command

COMMANDS = [name for group in command.GROUPS.values() for name in group]


def tfnas_command(*arguments):
    """A fresh process of the console command."""
    program = "import sys; from trainers.__main__ import main; main(); sys.exit('tensorflow' in sys.modules)"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_every_binary_is_a_command_unless_it_is_a_former_name():
    binaries = {name for name in BINARIES if not name.startswith("reproductions ")}
    former = {name for name in binaries if command.summary(name).startswith("The former name of")}
    assert len(former) == 4
    commands = {command.module_of(name).removeprefix("trainers.") for name in COMMANDS}
    assert commands == binaries - former
    assert len(COMMANDS) == len(commands)


def test_the_list_has_a_line_for_each_command():
    done = tfnas_command("--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout == tfnas_command().stdout
    lines = done.stdout.splitlines()
    for name in COMMANDS:
        assert [line for line in lines if re.fullmatch(rf"  {name} +[A-Z].*\.", line)], name
    assert max(map(len, lines)) <= 120


def test_help_is_that_of_the_binary():
    done = tfnas_command("inspect", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    binary = subprocess.run(
        [sys.executable, "-m", "trainers.inspect_model", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert (binary.returncode, binary.stdout) == (0, done.stdout)
    assert "\n  tfnas inspect --model=my_model.keras\n" in done.stdout
    assert "\nflags:\n" in done.stdout
    assert "\n  --drawing: File of the drawing" in done.stdout


def test_the_version_is_that_of_the_package():
    assert tfnas_command("--version").stdout == f"{tfnas.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predct"], "error: unknown command 'predct', did you mean predict? tfnas --help lists all"),
        (["predict"], "error: --model is missing; tfnas predict --help lists the flags"),
        (["predict", "x"], "error: unexpected argument 'x', expected flags that start with --; tfnas predict --help"),
        (["inspect", "--draw"], "error: Unknown command line flag 'draw'"),
        (
            ["pretrain"],
            "error: --encoder is missing, expected one of arch2vec, colour, computation_graph, jacobian, motif; ",
        ),
    ],
)
def test_mistakes_end_in_one_line(arguments, message):
    if arguments[1:] == ["x"]:
        arguments = [*arguments, "--model=x"]
    done = tfnas_command(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def inspect_at_home(home, *arguments):
    os.environ["HOME"] = home
    sys.argv = ["tfnas", "inspect", *arguments]
    command.main()


def test_an_interruption_while_the_command_is_imported_ends_in_one_line():
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'numpy':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from trainers.__main__ import main\n"
        "main()"
    )
    command = [sys.executable, "-c", program, "embed_corpus", "--encoder=cg_encoder"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "interrupted\n")


def test_a_tilde_is_the_users_home(tmp_path):
    (tmp_path / "models").symlink_to(ROOT / "saved_models")
    arguments = ("--model=~/models/arch2vec_nasbench201", "--drawing=~/graph.png")
    done = fork.call(functools.partial(inspect_at_home, str(tmp_path)), *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "graph.png").is_file()
    assert done.stdout.endswith(f"drawn in {tmp_path}/graph.png\n")


def print_lists(home):
    from absl import flags

    from tfnas import flags as tfnas_flags
    from tfnas.encoders.settings import Corpora

    os.environ["HOME"] = home
    tfnas_flags.define_paths("lists", [], "Files.")
    tfnas_flags.define_from_config(Corpora)
    flags.FLAGS(["tfnas test", "--lists=~/a,b,~/c", "--corpus=~/d"])
    print(flags.FLAGS.lists, tfnas_flags.overrides(Corpora))


def test_a_tilde_in_lists_and_in_settings():
    assert fork.call(print_lists, "/home/me").stdout == (
        "['/home/me/a', 'b', '/home/me/c'] {'corpus': ('/home/me/d',)}\n"
    )


# What TensorFlow prints when it starts, and errors that look alike.
NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795888723.147038   14970 port.cc:153] oneDNN custom operations are on. You may see other digits.
2025-11-28 17:58:43.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on. You may see others.
I0000 00:00:1795888723.147362   14970 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.
E0000 00:00:1795888723.984217   14970 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)
E0000 00:00:1795888723.984217   14970 cuda_fft.cc:467] Unable to register cuFFT factory: Attempting to register factory for plugin cuFFT when one has already been registered
2025-11-28 17:58:43.2: E external/local_xla/xla/stream_executor/cuda/cuda_dnn.cc:8579] Unable to register cuDNN factory: Attempting to register factory for plugin
W0000 00:00:1795888723.984217   14970 computation_placer.cc:177] computation placer already registered. Please check linkage.
I0000 00:00:1795888746.049853   15097 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available CPU instructions in performance-critical operations.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate compiler flags.
"""  # noqa: E501
REAL = """\
E0000 00:00:1795888723.984217   14970 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (999)
W0000 00:00:1795888723.984217   14970 gpu_device.cc:2342] Cannot dlopen some GPU libraries.
F0000 00:00:1795888723.984217   14970 port.cc:153] Check failed: a == b
see port.cc:153] oneDNN custom operations are on.
a line without an end"""  # noqa: E501


def fresh(program, *arguments, **environment):
    """Standard error of a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    ).stderr


def test_noise_goes_and_errors_stay():
    """Also those that a process writes before it dies; afterwards the lines are no longer read."""
    program = """
import os, sys
from tfnas import runtime
with runtime.without_noise():
    os.write(2, sys.argv[1].encode())
    if sys.argv[2] == "dies":
        os.abort()
print(" and then", file=sys.stderr)
os.write(2, sys.argv[1].encode())
"""
    lines = [line for pair in zip(NOISE.splitlines(), REAL.splitlines() * 2, strict=True) for line in pair]
    passed = "\n".join(REAL.splitlines() * 2)
    assert fresh(program, "\n".join(lines), "dies") == passed
    assert fresh(program, "\n".join(lines), "lives") == f"{passed} and then\n" + "\n".join(lines)


def test_tensorflow_starts_without_noise_in_a_binary_and_in_its_workers(tmp_path):
    """A package that is called tensorflow prints noise when it is imported and when it is asked for devices."""
    (tmp_path / "tensorflow.py").write_text(
        f"import os\nos.write(2, {NOISE!r}.encode() + b'imported\\n')\n"
        f"class config:\n    list_physical_devices = lambda kind: os.write(2, {NOISE!r}.encode() + b'asked\\n')\n"
    )
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    environment = {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
    program = "from tfnas import runtime; runtime.prepare_tensorflow(); import tensorflow; print(tensorflow.__spec__)"
    assert fresh(program, **environment) == "imported\nasked\n"
    assert fresh(program, **environment | {"TF_CPP_MIN_LOG_LEVEL": "0"}) == f"{NOISE}imported\n"
    worker = "import tfnas, tensorflow"
    assert fresh(worker, **environment, TFNAS_QUIET_WORKERS="a GPU or none") == "imported\n"
    assert fresh(worker, **environment, TFNAS_QUIET_WORKERS="no GPU") == "imported\nasked\n"
    assert fresh(worker, **environment) == f"{NOISE}imported\n"


def test_keras_does_without_packages_that_others_import(tmp_path):
    (tmp_path / "sklearn.py").write_text("print(__name__)\n")
    (tmp_path / "keras.py").write_text("try:\n    import sklearn\nexcept ImportError as error:\n    print(error)\n")
    program = "import os; os.dup2(2, 1); from tfnas import runtime; runtime.prepare_tensorflow(); import keras, sklearn"
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    assert fresh(program, **environment) == "sklearn is hidden from keras\nsklearn\n"


def test_without_standard_error_there_is_nothing_to_filter():
    program = "from tfnas import runtime\nwith runtime.without_noise(): print('works')"
    command = ["sh", "-c", 'exec 2>&-; exec "$0" -c "$1"', sys.executable, program]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout == "works\n"


def test_importing_tfnas_leaves_imports_and_descriptors_alone():
    program = """
import os, sys
before = [os.stat(number) for number in range(3)], list(sys.meta_path), dict(os.environ)
import tfnas
after = [os.stat(number) for number in range(3)], list(sys.meta_path), dict(os.environ)
sys.exit("changed" if before != after else 0)
"""
    assert fresh(program) == ""

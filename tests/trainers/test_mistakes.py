"""Every binary: an unknown flag, a folder that can't be written, a full disk; one clear line, never a traceback."""

import contextlib
import os
import re
import resource

import pytest

from tests.fork import run, run_here, server
from tests.small_runs import SMALL_RUNS, make_inputs
from tests.trainers.test_binaries import BINARIES

LARGEST_FILE = 20_000
"""In bytes; TensorFlow needs some for what it traces."""

LARGEST_FILES = {
    "embed_corpus": 3000,
    "build_corpus": 3000,
    "score_proxies": 1000,
    "extract_jacobians": 500,
    "predict": 99,
}
"""Of binaries that write little."""

LONG = ("build_digits201", *(name for name in BINARIES if name.startswith("reproductions ")))
"""Binaries that compute for minutes before they have much to write."""

IMAGES = "--data={inputs}/images.npz"
COMMANDS = {
    **{small.program: small.arguments for small in SMALL_RUNS.values()},
    "pretrain": ("--encoder=arch2vec", *SMALL_RUNS["arch2vec"].arguments),
    "embed": ("--encoder=saved_models/arch2vec_nasbench201", "--corpus={inputs}/cells"),
    "embed_corpus": ("--encoder=saved_models/arch2vec_nasbench201", "--corpus={inputs}/cells"),
    "export": ("--run_dir={inputs}/run",),
    "demo": (),
    "build_digits201": (),
    "convert_benchmark": ("--kind=nasbench101", "--source={inputs}/images.npz"),
    "train_darts": ("--cell=arch2vec_rl", IMAGES, "--channels=2", "--layers=3", "--noauxiliary", "--epochs=1"),
    "build_corpus": ("--spaces=nasbench201:40", "--num_workers=1"),
    "train_predictor": ("--benchmarks=digits201:60", "--epochs=1"),
    "score_proxies": ("--space=nats_size", "--count=2", IMAGES, "--batch_size=8", "--proxies=snip"),
    "extract_jacobians": ("--space=nats_size", "--count=2", IMAGES, "--num_images=4", "--components=4"),
    "build_index": ("--add_to=saved_models/architecture_index", "--remove=timm/resnet50"),
    **{name: ("--experiment=table1",) for name in BINARIES if name.startswith("reproductions ")},
    "inspect_model": ("--model=saved_models/arch2vec_nasbench201",),
    "predict": ("--model={inputs}/mine.keras",),
    "retrieve": ("--model=timm/resnet50",),
}
OUTPUT = {"inspect_model": "drawing=", "predict": "json="}
"""Binaries without an output folder, and the flag of the file that they write."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    import keras

    folder = make_inputs(tmp_path_factory.mktemp("inputs"))
    small = SMALL_RUNS["arch2vec"]
    done = run(small.program, *small.command(folder, folder / "run"), "--epochs=1")
    assert done.returncode == 0, done.stderr
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    keras.Model(images, keras.layers.Dense(10)(pooled)).save(folder / "mine.keras")
    return folder


def with_small_files(program, arguments, log):
    largest = LARGEST_FILES.get(program, LARGEST_FILE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    run_here(program, arguments, log)


def test_the_table_is_complete():
    without_files = {"serve", "check_table"}
    assert COMMANDS.keys() | without_files == set(BINARIES)


@pytest.mark.parametrize("name", BINARIES)
def test_unknown_flag(name):
    row = ["--encoder=arch2vec"] if name == "pretrain" else []  # which decides what flags there are
    done = run(name, *row, "--no_such_flag=1")
    assert done.returncode != 0
    assert "no_such_flag" in done.stderr
    assert "Traceback" not in done.stderr


def outcome(target, name, inputs, output):
    """Exit code and what was printed."""
    arguments = [argument.format(inputs=inputs) for argument in COMMANDS[name]]
    with contextlib.ExitStack() as stack:
        reader, writer = server().Pipe(duplex=False)
        stack.callback(reader.close)
        process = server().Process(target=target, args=(name, [*arguments, output], writer))
        process.start()
        writer.close()
        printed = b"".join(iter(lambda: os.read(reader.fileno(), 1 << 16), b""))
        process.join()
    return process.exitcode, printed.decode()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_can_not_be_written(name, inputs):
    output = f"--{OUTPUT[name]}/proc/tfnas/x.json" if name in OUTPUT else "--output_dir=/proc/tfnas"
    code, printed = outcome(run_here, name, inputs, output)
    assert code not in (0, None), printed[-3000:]
    assert "Traceback" not in printed, printed[-3000:]
    last = printed.strip().splitlines()[-1]
    assert last.startswith("error: ")
    if not name.startswith(("reproductions", "convert")):  # which want their data first
        assert "/proc/tfnas" in last


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in (*LONG, "convert_benchmark")])
def test_a_full_disk(name, inputs, tmp_path):
    output = f"--{OUTPUT[name]}{tmp_path}/x.png" if name in OUTPUT else f"--output_dir={tmp_path / 'out'}"
    code, printed = outcome(with_small_files, name, inputs, output)
    assert code not in (0, None), printed[-3000:]
    assert "Traceback" not in printed, printed[-3000:]
    assert re.search(r"error: .*File too large", printed), printed[-3000:]

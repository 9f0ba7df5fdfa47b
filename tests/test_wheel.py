"""The wheel as a user has it: installed in a fresh environment with what it declares, and used from an empty folder."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from tests.fork import ROOT

pytestmark = pytest.mark.wheel

# TensorFlow comes first, and Keras 3: what a notebook does.
JOBS = """
import json
import tensorflow as tf
import keras
import tfnas

model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3), keras.layers.Flatten(), keras.layers.Dense(10)])
model.save("my_model.keras")
vectors = tfnas.load("arch2vec_nasbench201").embed(tfnas.space("nasbench201").sample(1000, seed=0))
result = tfnas.search(tfnas.benchmark("digits201"), queries=20, seed=1)
prediction = tfnas.load("cg_predictor").predict("my_model.keras")
relatives = tfnas.load("architecture_index").relatives(model, count=10)
graph = tfnas.import_model(model)
tfnas.graphs.write_page(graph, "my_model.html")

answers = {"vectors": vectors.shape, "best": result.best.validation, "known": prediction.known}
answers |= {"relatives": len(relatives.relatives), "nodes": graph.num_nodes, "file": tfnas.__file__}
print(json.dumps(answers))
"""  # noqa: E501


def uv(*arguments):
    """Runs uv, which `make .venv` puts beside Python."""
    subprocess.run([pathlib.Path(sys.executable).with_name("uv"), *arguments], check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The file of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--no-build-isolation", f"--python={sys.executable}", f"--out-dir={folder}")
    (path,) = folder.glob("tfnas-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A function that runs a program of the environment in one folder, which is empty and the home of the user."""
    environment, home = (tmp_path_factory.mktemp(name) for name in ("environment", "home"))
    uv("venv", "--quiet", "--clear", f"--python={sys.executable}", str(environment))
    python = f"--python={environment / 'bin' / 'python'}"
    # Nothing but the wheel is asked for; the pins say which version of what it declares is taken.
    uv("pip", "install", "--quiet", python, "--constraints=requirements.txt", str(wheel))
    uv("pip", "check", "--quiet", python)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TF", "CUDA"))}

    def run(program, *arguments):
        command = [environment / "bin" / program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, env=variables | {"HOME": str(home)})
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    return run


def test_the_wheel_holds_the_library_the_binaries_and_the_shipped_models(wheel):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "tfnas", "trainers", "saved_models"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
    expected = {name.replace("saved_models/", "tfnas/shipped/", 1) for name in listed}
    assert {"tfnas/py.typed", "trainers/__main__.py", "tfnas/shipped/cg_encoder/saved_model.pb"} <= expected
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == expected


def test_four_jobs_in_python(installed):
    answers = json.loads(installed("python", "-c", JOBS).stdout.splitlines()[-1])
    assert answers["vectors"] == [1000, 16]
    assert 0.8 < answers["best"] < 1
    assert not answers["known"]  # two layers are unlike every network of the benchmarks
    assert answers["relatives"] == 10
    assert answers["nodes"] == 4
    assert not pathlib.Path(answers["file"]).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["embed", "--encoder=arch2vec_nasbench201", "--output_dir=~/cells"], "15,625 cells in "),
        (["search", "--benchmark=digits201", "--queries=20", "--output_dir=~/search"], "| strategy "),
        (["predict", "--model=~/my_model.keras"], "| prediction "),
        (["inspect", "--model=arch2vec_nasbench201", "--drawing=~/graph.png"], "| operator "),
        (["retrieve", "--model=~/my_model.keras", "--output_dir=~/relatives"], "keras/my_model: 4 operators"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_answer_first_and_without_noise(arguments, answer, installed):
    done = installed("tfnas", *arguments)
    assert done.stdout.startswith(answer)
    noise = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    assert not noise, "more than the bar that shows the progress"

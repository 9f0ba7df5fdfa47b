"""The README's code blocks run, in order, with smaller numbers where the real ones take minutes."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from reproductions.registry import PAPERS

ROOT = pathlib.Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
SMALLER = {
    "--epochs=10 ": "--epochs=1 ",
    "--queries=150 --runs=500": "--queries=20 --runs=3",
    "--queries=40 --runs=3": "--queries=3 --runs=1",
    "--labels=20 --queries=60": "--labels=5 --queries=15",
    "--queries=30 --workers=2": "--queries=3 --workers=2 --train_epochs=1 --channels=4 --cells_per_stage=1",
    "nasbench201:10000,darts:10000": "nasbench201:40,darts:10",
    "--count=100": "--count=2",
    "--count=300": "--count=8",
    "--corpus=runs/jacobians/corpus": "--corpus=runs/jacobians/corpus --epochs=1 --batch_size=4",
}


def folder_with_a_users_files(folder):
    """What the README's user has beside the repository's own folders."""
    import keras

    (folder / "saved_models").symlink_to(ROOT / "saved_models")
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(folder / "my_model.keras")
    (folder / "my_models").mkdir()
    shutil.copy(folder / "my_model.keras", folder / "my_models")
    labels = np.arange(200) % 10
    images = np.random.default_rng(0).random((200, 16, 16, 3)).astype(np.float32)
    np.savez(folder / "images.npz", images=images, labels=labels)
    (folder / "my_module.py").write_text("def accuracy(architecture):\n    return len(str(architecture)) % 7 / 10\n")


def run(folder, *command):
    environment = os.environ | {
        "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("number", range(sum(kind == "python" for kind, _ in BLOCKS)))
def test_python(number, tmp_path):
    folder_with_a_users_files(tmp_path)
    text = [text for kind, text in BLOCKS if kind == "python"][number]
    assert re.search(r"\(\d+, \d+\)", run(tmp_path, sys.executable, "-c", text))


@pytest.mark.slow
def test_shell_commands(tmp_path):
    text = "".join(text for kind, text in BLOCKS if kind == "bash")
    for large, small in SMALLER.items():
        assert large in text, f"{large} is in the README no more"
        text = text.replace(large, small)
    folder_with_a_users_files(tmp_path)
    run(tmp_path, "bash", "-ec", text)
    names = ("pretrain", "digits201", "table", "search", "parallel", "mobilenetv3", "scores", "cells", "jacobians")
    for name in (*names, "vectors", "export"):
        assert (tmp_path / "runs" / name / "summary.json").is_file()
    assert (tmp_path / "runs" / "index" / "index" / "saved_model.pb").is_file()


def test_every_command_names_a_binary():
    text = "".join(text for _, text in BLOCKS)
    for name in re.findall(r"-m trainers\.(\w+)", text):
        assert (ROOT / "trainers" / f"{name}.py").is_file()
    reproductions = re.findall(r"`reproductions (\w+) --experiment=(\w+)`", (ROOT / "README.md").read_text())
    assert len(reproductions) > 3
    assert all(experiment in PAPERS[paper].experiments for paper, experiment in reproductions)
    for target in re.findall(r"^make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)

"""The shell commands of the documents run, in order, with smaller numbers where the real ones take minutes."""

import os
import subprocess
import sys

import pytest

from tests.documents import blocks, write_files_of_a_user
from tests.fork import ROOT

PAGE = ROOT / "docs" / "how_to" / "commands.md"
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


def run(folder, *command):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
def test_shell_commands(tmp_path):
    # tests/test_wheel.py runs the installed command.
    text = f'tfnas() {{ {sys.executable} -m trainers "$@"; }}\n' + "".join(blocks(PAGE, "bash"))
    for large, small in SMALLER.items():
        assert large in text, f"{large} is in {PAGE} no more"
        text = text.replace(large, small)
    write_files_of_a_user(tmp_path)
    run(tmp_path, "bash", "-ec", text)
    names = ("pretrain", "digits201", "table", "search", "parallel", "mobilenetv3", "scores", "cells", "jacobians")
    for name in (*names, "vectors", "export"):
        assert (tmp_path / "runs" / name / "summary.json").is_file()
    assert (tmp_path / "runs" / "index" / "index" / "saved_model.pb").is_file()

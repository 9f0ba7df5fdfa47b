"""`tfnas search` as a user meets it: tables, goals, images of one's own, and mistakes in them."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.fork import ROOT
from tests.trainers.test_binaries import run
from tfnas.search import STRATEGIES


@pytest.mark.parametrize(
    "every", [("random", "evolution", "bo", "additive"), pytest.param(tuple(STRATEGIES), marks=pytest.mark.slow)]
)
def test_search_on_the_shipped_table_gives_the_same_results(every, tmp_path):
    """Strategies in one process, some of them in another; tests/test_determinism.py compares bytes."""
    flags = ["--benchmark=digits201", "--runs=2", "--queries=8"]
    results = []
    for name, strategies in (("all", every), ("some", ("evolution", "additive"))):
        output = f"--output_dir={tmp_path / name}"
        printed = run("search", *flags, f"--strategy={','.join(strategies)}", output).stdout
        assert all(f"| {strategy} " in printed for strategy in strategies)
        results.append(json.loads((tmp_path / name / "results.json").read_text()))
    assert results[1] == {strategy: results[0][strategy] for strategy in strategies}
    summary = json.loads((tmp_path / "all" / "summary.json").read_text())
    assert summary["strategies"]["bo"]["runs"] == 2


def test_search_with_two_objectives(tmp_path):
    flags = ["--benchmark=digits201", "--objective=accuracy,parameters", "--limit=parameters:9000", "--queries=20"]
    printed = run("search", *flags, "--strategy=random,nsga2", "--runs=3", f"--output_dir={tmp_path / 'out'}").stdout
    assert "hypervolume % after 20 |" in printed
    front = json.loads((tmp_path / "out" / "pareto.json").read_text())
    assert all(member["parameters"] <= 9000 for member in front)
    assert (tmp_path / "out" / "pareto.png").stat().st_size > 10_000


def test_search_with_trainings_on_images_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    names = np.array(["owl", "cat", "dog"])
    np.savez(tmp_path / "images.npz", images=rng.random((60, 8, 8)), labels=names[np.arange(60) % 3])
    flags = [
        "--benchmark=trained",
        f"--data={tmp_path / 'images.npz'}",
        "--channels=4",
        "--cells_per_stage=1",
        "--train_epochs=1",
        "--strategy=random",
        "--queries=2",
        "--metric=f1",
        "--class_weights=balanced",
        f"--output_dir={tmp_path / 'out'}",
    ]
    done = run("search", *flags)
    assert " best validation f1 % |" in done.stdout
    assert "| random" in done.stdout
    images = "60 images of 8 x 8 x 1 (36 train, 12 validate, 12 test); 3 classes, numbered from 0: cat, dog, owl"
    lines = done.stderr[done.stderr.index("Images: ") :].splitlines()
    assert lines[:2] == [
        f"Images: {images}",
        "Networks: num_classes 3, channels 4, cells_per_stage 1, stages 3; validation f1 decides",
    ]
    assert re.search(r"First training: [\d.]+ s\. 1 more take about [\d.]+ (s|min); Ctrl-C stops", done.stderr)
    assert "trained for 1 epochs on all 48 images" in done.stdout
    model = tmp_path / "out" / "best_model" / "model.keras"
    written = model.stat().st_mtime_ns
    assert run("search", *flags, "--resume").stdout == done.stdout
    assert model.stat().st_mtime_ns == written
    assert len((tmp_path / "out" / "trained.jsonl").read_text().splitlines()) == 3
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["metric"], summary["strategies"]["random"]["failed"]) == ("f1", 0)


def test_mistakes_in_images_show_before_tensorflow_starts(tmp_path):
    """One line, no output folder, a file that is no log as it was; in a process of its own."""
    np.savez(tmp_path / "images.npz", images=np.zeros((60, 8, 8)), labels=np.arange(61) % 3)
    program = """
import runpy, sys
sys.argv = ["search", *sys.argv[1:]]
try:
    runpy.run_module("trainers.search", run_name="__main__")
finally:
    assert "tensorflow" not in sys.modules
"""
    flags = ["--benchmark=trained", f"--data={tmp_path / 'images.npz'}", f"--output_dir={tmp_path / 'out'}"]
    done = subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {tmp_path / 'images.npz'}: images holds 60 images and labels 61 labels, expected as many",
    ]
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_log_stays(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((60, 8, 8)), labels=np.arange(60) % 3)
    log = tmp_path / "results.json"
    log.write_text('{"my":"precious results"}')
    flags = ["--benchmark=trained", f"--data={tmp_path / 'images.npz'}", f"--trial_log={log}"]
    done = run("search", *flags, f"--output_dir={tmp_path / 'out'}", check=False)
    assert done.stderr.splitlines()[-1] == f"error: {log}: not a trial log, so nothing is written to it"
    assert log.read_text() == '{"my":"precious results"}'
    assert not (tmp_path / "out").exists()

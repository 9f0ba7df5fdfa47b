"""The binaries as a user meets them: help, mistakes, a small chain of all of them, kill -9."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tfnas.graphs import records
from tfnas.spaces import NASBench201

BINARIES = ("pretrain_arch2vec", "embed", "export", "search", "demo")
ROOT = pathlib.Path(__file__).parents[2]


def run(name, *arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", f"trainers.{name}", *arguments], capture_output=True, text=True, cwd=ROOT
    )
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "cells"
    records.write_cells(folder, NASBench201(), NASBench201().enumerate()[:600], num_shards=2)
    return folder


def pretrain_flags(corpus, output_dir):
    return [
        "--space=nasbench201",
        f"--corpus={corpus}",
        "--epochs=6",
        "--seed=1",
        "--hidden_dims=16,16",
        f"--output_dir={output_dir}",
    ]


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    run("pretrain_arch2vec", *pretrain_flags(corpus, folder))
    return folder


@pytest.mark.parametrize("name", BINARIES)
def test_help_does_not_wait_for_tensorflow(name):
    program = f"""
import runpy, sys
sys.argv = ["{name}", "--helpfull"]
try:
    runpy.run_module("trainers.{name}", run_name="__main__")
except SystemExit:
    pass
sys.exit("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert "--output_dir" in done.stdout


def test_chain(pretrained, corpus, tmp_path):
    summary = json.loads((pretrained / "summary.json").read_text())
    assert {"reconstruction_accuracy", "validity", "uniqueness", "encoder_sha256"} <= set(summary)
    assert (summary["train_cells"], summary["test_cells"]) == (540, 60)
    for name in ("metrics.jsonl", "training.png", "training.svg", "run.json", "encoder/saved_model.pb"):
        assert (pretrained / name).exists()
    encoder = pretrained / "encoder"
    run("embed", f"--encoder={encoder}", f"--corpus={corpus}", f"--output_dir={tmp_path / 'table'}")
    assert json.loads((tmp_path / "table" / "summary.json").read_text())["cells"] == 600
    search = [
        f"--encoder={encoder}",
        f"--embeddings={tmp_path / 'table' / 'embeddings'}",
        "--strategy=random",
        "--queries=3",
        f"--output_dir={tmp_path / 'search'}",
    ]
    assert "| random" in run("search", *search).stdout
    results = json.loads((tmp_path / "search" / "results.json").read_text())
    assert len(results["random"]["scores"][0]) == 3
    run("export", f"--run_dir={pretrained}", f"--output_dir={tmp_path / 'again'}")
    exported = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert (exported["epoch"], exported["steps_beyond_epoch"]) == (6, 0)
    first, second = (
        tf.saved_model.load(str(folder)).signatures["encode"](
            ops=tf.one_hot([[0, 1, 2, 3, 4, 5, 1, 6]], 7), adjacency=tf.ones([1, 8, 8])
        )["embedding"]
        for folder in (encoder, tmp_path / "again" / "encoder")
    )
    np.testing.assert_array_equal(first, second)


def test_killed_and_resumed_run_has_the_same_weights(pretrained, corpus, tmp_path):
    flags = pretrain_flags(corpus, tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, "-m", "trainers.pretrain_arch2vec", *flags], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "checkpoints" / "checkpoint").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "summary.json").exists()
    run("pretrain_arch2vec", *flags, "--resume")
    weights = [
        {
            name: tf.train.load_variable(str(folder / "checkpoints"), name)
            for name, _ in tf.train.list_variables(str(folder / "checkpoints"))
            if "VARIABLE_VALUE" in name
        }
        for folder in (pretrained, tmp_path / "out")
    ]
    assert len(weights[0]) > 20
    for name, value in weights[0].items():
        if not name.startswith("save_counter"):
            np.testing.assert_array_equal(value, weights[1][name], err_msg=name)
    logs = [(folder / "metrics.jsonl").read_text() for folder in (pretrained, tmp_path / "out")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pretrain_arch2vec", ["--space=nasbench404"], "nasbench404"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--preset=magic"], "magic"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--pooling=max"], "pooling='max', expected one of sum, mean"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--hidden_dims=12,x"], "'x' is not a whole number"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--strategy=tpu"], "unknown strategy 'tpu'"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--corpus=/nothing"], "/nothing/manifest.json: no such file"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--epoch=3"], "epoch"),
        ("embed", ["--encoder=/nothing"], "/nothing/manifest.json: no such file"),
        ("search", ["--encoder=/nothing"], "/nothing/manifest.json: no such file"),
        ("search", ["--encoder=saved_models/arch2vec_nasbench201", "--strategy=bo,magic"], "unknown strategy 'magic'"),
        ("search", ["--encoder=saved_models/arch2vec_nasbench101"], "scores nasbench201"),
        ("export", ["--run_dir=/nothing"], "/nothing/run.json: no such file"),
        ("embed", ["--encoder=saved_models/arch2vec_nasbench201", "stray"], "stray"),
    ],
)
def test_one_line_for_a_mistake(name, arguments, message, tmp_path):
    done = run(name, *arguments, f"--output_dir={tmp_path / 'out'}", check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_output_folder_that_can_not_be_used(tmp_path):
    (tmp_path / "file").touch()
    for folder, message in ((tmp_path, "is not empty"), (tmp_path / "file", "is a file")):
        arguments = ["--encoder=saved_models/arch2vec_nasbench201", f"--output_dir={folder}"]
        done = run("embed", *arguments, check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr

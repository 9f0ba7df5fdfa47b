"""The binaries as a user meets them: help, mistakes, a small chain of all of them."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from reproductions.registry import PAPERS
from tests import fork
from tests.fork import ROOT
from tfnas import artefacts, runtime
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.spaces import NASBench201

BINARIES = (
    *sorted(path.stem for path in (ROOT / "trainers").glob("[a-z]*.py")),
    *(f"reproductions {paper}" for paper in PAPERS),
)
"""Programs by the names that `fork.run` takes."""


def run(name, *arguments, check=True):
    done = fork.run(name, *map(str, arguments))
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "cells"
    cell_corpora.write_cells(folder, NASBench201(), NASBench201().enumerate()[:600], num_shards=2)
    return folder


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The flag of a corpus of computation graphs."""
    folder = tmp_path_factory.mktemp("graphs") / "out"
    run("build_corpus", "--spaces=nasbench201:40,nasbench101:20", "--num_workers=1", f"--output_dir={folder}")
    return f"--corpus={folder / 'corpus'}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file of a small Keras model."""
    import keras

    path = tmp_path_factory.mktemp("model") / "mine.keras"
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The flag of images of handwritten digits."""
    from sklearn.datasets import load_digits

    path = tmp_path_factory.mktemp("digits") / "images.npz"
    data = load_digits()
    images = np.repeat(data.images[:200, ..., None], 3, axis=3).astype(np.float32)
    np.savez(path, images=images, labels=data.target[:200])
    return f"--data={path}"


def pretrain_flags(corpus, output_dir):
    return [
        "--space=nasbench201",
        f"--corpus={corpus}",
        "--epochs=2",
        "--seed=1",
        "--hidden_dims=16,16",
        f"--output_dir={output_dir}",
    ]


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    run("pretrain_arch2vec", *pretrain_flags(corpus, folder))
    return folder


@pytest.fixture(scope="module")
def helps():
    """Exit code, output and "tensorflow" if that was imported, of `--help`, by binary.

    All programs are forks of a process that has imported nothing of TensorFlow.
    """
    programs = {name: fork.module_of(name) for name in BINARIES}
    program = f"""
import contextlib, io, json, os, runpy, sys
import numpy, tfnas.flags
for name, (module, *words) in {programs!r}.items():
    sys.stdout.flush()
    if os.fork():
        os.wait()
        continue
    sys.argv = [name, *words, "--help"]
    output, code = io.StringIO(), 0
    with contextlib.redirect_stdout(output):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code or 0
    print(json.dumps([name, code, output.getvalue(), "tensorflow" in sys.modules]), flush=True)
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return {name: facts for name, *facts in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", BINARIES)
def test_help_does_not_wait_for_tensorflow(name, helps):
    code, output, imported = helps[name]
    assert code == 0
    assert not imported
    other = {
        "inspect_model": "--drawing",
        "predict": "--figure",
        "retrieve": "--against",
        "serve": "--port",
        "check_table": "--table",
    }
    assert other.get(name, "--output_dir") in output


def test_chain(pretrained, corpus, tmp_path):
    summary = json.loads((pretrained / "summary.json").read_text())
    assert {"reconstruction_accuracy", "validity", "uniqueness", "encoder_sha256"} <= set(summary)
    assert (summary["train_cells"], summary["test_cells"]) == (540, 60)
    for name in ("metrics.jsonl", "training.png", "training.svg", "run.json", "encoder/saved_model.pb"):
        assert (pretrained / name).exists()
    encoder = pretrained / "encoder"
    run("embed", f"--encoder={encoder}", f"--corpus={corpus}", f"--output_dir={tmp_path / 'table'}")
    assert json.loads((tmp_path / "table" / "summary.json").read_text())["cells"] == 600
    (tmp_path / "cells.txt").write_text("13714\n(2, 2, 0, 4, 2, 0)\n")
    run(
        "embed", f"--encoder={encoder}", f"--architectures={tmp_path / 'cells.txt'}", f"--output_dir={tmp_path / 'two'}"
    )
    assert json.loads((tmp_path / "two" / "summary.json").read_text())["cells"] == 2
    search = [
        f"--encoder={encoder}",
        f"--embeddings={tmp_path / 'table' / 'embeddings'}",
        "--strategy=random",
        "--queries=3",
        f"--output_dir={tmp_path / 'search'}",
    ]
    assert "| random" in run("search", *search).stdout
    history = artefacts.read_npz(tmp_path / "search" / "strategies" / "random" / "history.npz")
    assert history["rows"].shape == (1, 3)
    run("export", f"--run_dir={pretrained}", f"--output_dir={tmp_path / 'again'}")
    exported = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert (exported["epoch"], exported["steps_beyond_epoch"]) == (2, 0)
    first, second = (
        tf.saved_model.load(str(folder)).signatures["encode"](
            ops=tf.one_hot([[0, 1, 2, 3, 4, 5, 1, 6]], 7), adjacency=tf.ones([1, 8, 8])
        )["embedding"]
        for folder in (encoder, tmp_path / "again" / "encoder")
    )
    np.testing.assert_array_equal(first, second)


def test_conversion_and_check(tmp_path):
    """An official file through the binaries; a pickle is not opened unasked."""
    from tests.benchmarks.readers.test_nasbench101 import CELLS
    from tests.benchmarks.readers.test_nasbench101 import records as official_records
    from tests.reference.nasbench101 import write_official

    source = tmp_path / "small.tfrecord"
    count = write_official(source, official_records(np.random.default_rng(0), CELLS))
    flags = ["--kind=nasbench101", f"--source={source}", f"--output_dir={tmp_path / 'out'}"]
    assert "say how many records" in run("convert_benchmark", *flags, check=False).stderr
    assert f"{len(CELLS)} architectures" in run("convert_benchmark", *flags, f"--records={count}", "--resume").stdout
    table = tmp_path / "out" / "nasbench101.npz"
    printed = run("check_table", f"--table={table}").stdout
    assert f"{len(CELLS)} nasbench101 architectures, all valid" in printed
    assert "| halfway_train_accuracy_36 " in printed
    table.write_bytes(table.read_bytes()[:-9])
    damaged = run("check_table", f"--table={table}", check=False)
    assert damaged.returncode == 1
    assert "nasbench101.npz: " in damaged.stderr
    assert "Traceback" not in damaged.stderr
    flags = ["--kind=nats_tss", f"--source={tmp_path}", f"--output_dir={tmp_path / 'nats'}"]
    assert "are pickles; allow them" in run("convert_benchmark", *flags, check=False).stderr


def own_space(output_dir):
    sys.path.insert(0, "examples")
    import own_space

    runtime.one_thread_per_operation()
    small = dataclasses.replace(own_space.PRESETS["tfnas"], hidden_dims=(16,))
    own_space.PRESETS = {"tfnas": small}
    own_space.main(output_dir, epochs=1, queries=2)


def test_own_space_in_one_file(tmp_path):
    """The documented example, with a smaller encoder, fewer epochs and queries."""
    done = fork.call(own_space, tmp_path / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "| additive " in done.stdout
    assert (tmp_path / "out" / "best_model" / "model.keras").exists()
    # Five architectures with finite scores and predictions.
    assert len(re.findall(r"^\| (?:(?:relu|tanh)_\d+ ?)+ *(?:\| +-?[\d.e+]+ +){4}\|$", done.stdout, re.MULTILINE)) == 5
    summary = json.loads((tmp_path / "out" / "search" / "summary.json").read_text())
    assert summary["space"] == "mlp"
    assert summary["best"]["validation"] > 0.5


def test_output_folder_that_can_not_be_used(tmp_path):
    (tmp_path / "file").touch()
    for folder, message in ((tmp_path, "is not empty"), (tmp_path / "file", "is a file")):
        arguments = ["--encoder=saved_models/arch2vec_nasbench201", f"--output_dir={folder}"]
        done = run("embed", *arguments, check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_training_a_darts_cell(tmp_path):
    """The published cell on a few small images; the run is finished, so that resuming it changes nothing."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.normal(size=(60, 8, 8, 3)) + 3.0 * labels[:, None, None, None]
    artefacts.write_npz(tmp_path / "images.npz", images=images, labels=labels)
    arguments = [
        "--cell=arch2vec_rl",
        f"--data={tmp_path / 'images.npz'}",
        "--channels=2",
        "--layers=3",
        "--noauxiliary",
        "--epochs=1",
        "--cutout=2",
        f"--output_dir={tmp_path / 'out'}",
    ]
    done = run("train_darts", *arguments)
    assert "million parameters, test accuracy" in done.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["train_images"] == 48
    run("train_darts", *arguments, "--resume")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    wrong = run("train_darts", *arguments[1:], "--cell=best", check=False)
    assert wrong.stderr.count("error: 'best' is no nasbench301 architecture") == 1


def test_inspecting_a_model(tmp_path):
    import keras

    inputs = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    keras.Model(inputs, pooled).save(tmp_path / "mine.keras")
    model = f"--model={tmp_path}/mine.keras"
    refused = run("inspect_model", model, "--strict", check=False)
    assert "assumed" in refused.stderr
    assert refused.returncode == 1
    drawing = tmp_path / "picture.png"
    done = run(
        "inspect_model", model, "--input_shape=1,10,10,3", f"--drawing={drawing}", f"--page={tmp_path}/page.html"
    )
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert re.search(r"conv +\| +1 \| +112 \| +0\.0", done.stdout)
    assert "4 operators, 3 edges" in done.stdout
    assert drawing.is_file()
    assert drawing.with_suffix(".svg").is_file()


def test_inspecting_several_models(model, tmp_path):
    same, folder = f"--model={model}", tmp_path / "models"
    folder.mkdir()
    (folder / "a.keras").write_bytes(model.read_bytes())
    (folder / "torn.keras").write_bytes(model.read_bytes()[:100])
    done = run("inspect_model", same, f"--model={folder}", f"--table={tmp_path}/all.csv")
    assert done.stdout.count("| not read |") == 1
    assert re.search(r"error: \S+/torn.keras: not a .keras file", done.stdout)
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 4
    (folder / "a.keras").unlink()
    (folder / "other.keras").touch()
    assert run("inspect_model", f"--model={folder}", check=False).returncode == 1
    assert "All operators agree" in run("inspect_model", same, same, "--compare").stdout
    wrong = run("inspect_model", same, "--compare", check=False)
    assert "--compare: 1 models, expected two" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=saved_models/arch2vec_darts", "--table=x.txt"], "--table=x.txt, expected a file that ends in .csv"),
        (["--model=/nothing.onnx"], "/nothing.onnx: no such file"),
        (["--model=/nothing"], "/nothing: no such file or folder, expected a .keras file, "),
        (["--model=README.md"], "README.md: not a model that tfnas reads"),
        (["--model=saved_models/arch2vec_darts", "--input_shape=1,x"], "--input_shape=1,x, expected positive"),
    ],
)
def test_models_that_can_not_be_inspected(arguments, message, tmp_path):
    done = run("inspect_model", *arguments, f"--drawing={tmp_path}/drawing.png", check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_corpus_of_search_spaces(tmp_path):
    """The same bytes from one process and from two."""
    manifests = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        spaces = "--spaces=nasbench201:300,darts:3,mobilenetv3:2"
        run("build_corpus", spaces, "--layout=predictor", f"--num_workers={workers}", f"--output_dir={folder}")
        manifests.append(artefacts.read_manifest(folder / "corpus"))
    assert manifests[0] == manifests[1]
    assert manifests[0]["families"] == {"darts": 3, "mobilenetv3": 2, "nasbench201": 300}
    graphs = list(graph_corpora.read_graphs(tmp_path / "1" / "corpus"))
    assert [graph.name for graph in graphs[298:301]] == ["nasbench201-298", "nasbench201-299", "darts-0"]
    assert not any("zero" in graph.operator_names for graph in graphs)


def test_from_graphs_to_a_prediction(graphs, model, tmp_path):
    """Corpus, encoder, predictor, and what it says of a model's file."""
    small = ["--width=8", "--layers=2", "--embedding_dim=8", "--batch_size=16", "--epochs=1"]
    encoder = f"--encoder={tmp_path / 'encoder' / 'encoder'}"
    done = run("pretrain_cg_encoder", graphs, *small, f"--output_dir={tmp_path / 'encoder'}")
    assert "60 graphs of 2 families" in done.stdout
    learn = ["--benchmarks=digits201:60", encoder, "--epochs=2"]
    done = run("train_predictor", *learn, f"--output_dir={tmp_path / 'predictor'}")
    assert re.search(r"\| nasbench201 +\| +-?0\.\d{3} \|", done.stdout)
    assert "ridge on counts" in done.stdout
    answer = [f"--predictor={tmp_path / 'predictor' / 'predictor'}", f"--model={model}"]
    done = run("predict", *answer, f"--json={tmp_path / 'answer.json'}", f"--figure={tmp_path / 'map.png'}")
    assert "nearest family" in done.stdout
    assert (tmp_path / "map.svg").is_file()
    found = json.loads((tmp_path / "answer.json").read_text())
    assert found["family"] == "nasbench201"
    assert found["known"] == (found["distance"] <= found["far"])
    assert ("there is no prediction" in done.stdout) != found["known"]
    assert (found["percentile"] is None) != found["known"]
    done = run("predict", *answer, f"--model={model}", f"--json={tmp_path / 'ranking.json'}")
    assert done.stdout.startswith("| model ")
    assert [row["form_score"] for row in json.loads((tmp_path / "ranking.json").read_text())] == [0, 0]
    done = run("predict", answer[0], "--model=/nothing.keras", check=False)
    assert "/nothing.keras: no such file" in done.stderr
    assert "Traceback" not in done.stderr
    lone = run("train_predictor", *learn, "--target=nasbench201", f"--output_dir={tmp_path / 'no'}", check=False)
    assert "target='nasbench201', expected one of nasbench201 and another family to learn from" in lone.stderr


def test_scores_and_a_guided_search(digits, model, tmp_path):
    import keras

    data = [digits, "--proxies=snip,grad_norm", "--batch_size=8"]
    done = run("score_proxies", *data, f"--model={model}", f"--output_dir={tmp_path / 'one'}")
    assert re.search(r"snip +\| +0\.\d+", done.stdout)
    two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    keras.Model(two, keras.layers.Add()(two)).save(tmp_path / "two.keras")
    done = run(
        "score_proxies", *data, f"--model={tmp_path / 'two.keras'}", f"--output_dir={tmp_path / 'x'}", check=False
    )
    assert "expected a built model with one input and one output" in done.stderr
    assert "Traceback" not in done.stderr
    run("score_proxies", *data, "--space=nats_size", "--count=3", f"--output_dir={tmp_path / 'three'}")
    assert json.loads((tmp_path / "three" / "summary.json").read_text())["networks"] == 3
    (tmp_path / "sizes.txt").write_text("8:8:8:8:16\n")
    listed = ["--space=nats_size", f"--architectures={tmp_path / 'sizes.txt'}", f"--output_dir={tmp_path / 'listed'}"]
    run("score_proxies", *data, *listed)
    assert json.loads((tmp_path / "listed" / "summary.json").read_text())["networks"] == 1
    guided = ["--strategy=evolution", "--queries=15", "--runs=2", "--benchmark=digits201"]
    done = run("search", *guided, "--guide=predictor", "--labels=6", f"--output_dir={tmp_path / 'search'}")
    assert "| evolution " in done.stdout
    assert artefacts.read_npz(tmp_path / "search/strategies/evolution/history.npz")["rows"].shape == (2, 15)


def test_from_images_to_an_encoder_of_jacobians(digits, tmp_path):
    sizes = ["--space=nats_size", "--count=12", "--num_images=4", "--components=4", "--initializations=2"]
    data = [*sizes, digits, "--shard_size=5"]
    done = run("extract_jacobians", *data, f"--output_dir={tmp_path / 'jacobians'}", "--workers=2")
    assert re.search(r"fine +\| +24", done.stdout)
    again = run("extract_jacobians", *data, f"--output_dir={tmp_path / 'again'}", "--workers=1")
    assert again.stdout == done.stdout
    files = [artefacts.read_manifest(tmp_path / name / "corpus")["files"] for name in ("jacobians", "again")]
    assert files[0] == files[1]
    train = [f"--corpus={tmp_path / 'jacobians' / 'corpus'}", "--epochs=2", "--batch_size=6", "--width=8"]
    done = run("pretrain_jacobian_encoder", *train, f"--output_dir={tmp_path / 'encoder'}")
    assert "12 architectures (0 left out), loss" in done.stdout
    manifest = artefacts.read_manifest(tmp_path / "encoder" / "encoder")
    assert manifest["rows"] == 4
    assert manifest["image_shape"] == [8, 8, 3]
    (tmp_path / "broken.npz").write_bytes(b"not images")
    broken = ["--data=" + str(tmp_path / "broken.npz"), f"--output_dir={tmp_path / 'no'}"]
    done = run("extract_jacobians", *broken, check=False)
    assert "broken.npz: not a readable .npz" in done.stderr
    assert "Traceback" not in done.stderr


def test_from_a_corpus_to_relatives(graphs, model, tmp_path):
    """Corpus, encoder, index, and a model's relatives with their page."""
    small = ["--width=8", "--embedding_dim=8", "--neighbourhood_width=48", "--batch_size=8", "--epochs=1"]
    done = run("train_retrieval", graphs, *small, f"--output_dir={tmp_path / 'encoder'}")
    assert "models of 2 families" in done.stdout
    encoder = f"--encoder={tmp_path / 'encoder' / 'encoder'}"
    assert "60 architectures" in run("build_index", graphs, encoder, f"--output_dir={tmp_path / 'index'}").stdout
    where = [encoder, f"--index={tmp_path / 'index' / 'index'}", "--top_k=3"]
    done = run("retrieve", f"--model={model}", *where, f"--output_dir={tmp_path / 'answer'}")
    assert "shared operators" in done.stdout
    assert "<svg" in (tmp_path / "answer" / "relatives.html").read_text()
    assert len(json.loads((tmp_path / "answer" / "relatives.json").read_text())["relatives"]) == 3
    assert len((tmp_path / "answer" / "relatives.csv").read_text().splitlines()) == 4
    name = "nasbench201-3"
    found = run("retrieve", f"--model={name}", "--families=nasbench101", *where).stdout
    assert found.startswith(f"{name}: ")
    assert found.count("| nasbench101-") == 3
    assert "same structure" in run("retrieve", f"--model={name}", f"--against={name}", *where).stdout
    less = ["--fit", f"--add_to={tmp_path / 'index' / 'index'}", f"--remove={name}"]
    done = run("build_index", *less, f"--output_dir={tmp_path / 'less'}")
    assert "59 structures of 2 families" in done.stdout
    assert "59 architectures" in done.stdout
    done = run("retrieve", "--model=nothing/known", *where, check=False)
    assert "nothing/known: no such file or folder" in done.stderr
    done = run(
        "retrieve",
        f"--model={name}",
        f"--index={tmp_path / 'index' / 'index'}",
        f"--output_dir={tmp_path / 'no'}",
        check=False,
    )
    assert "the index was not made with an encoder that ships with tfnas" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "no").exists()

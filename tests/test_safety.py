"""Nothing that a file holds is executed: no unpickling outside the named converter, and hostile files are refused."""

import ast
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from tfnas import artefacts
from tfnas.benchmarks.readers import nats_bench
from tfnas.benchmarks.table import read_table
from tfnas.benchmarks.trained.images import load_images
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.errors import CorruptArtefactError, TfnasError
from tfnas.graphs import importers
from tfnas.retrieval.index import Index

ROOT = pathlib.Path(__file__).parents[1]
CONVERTER = ROOT / "tfnas" / "benchmarks" / "readers" / "nats_bench.py"
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml"}
UNPICKLING = {"joblib": {"load", "dump"}, "pandas": {"read_pickle", "read_hdf", "HDFStore"}}
"""What some packages unpickle with, by package."""
SOURCES = [
    path
    for folder in ("tfnas", "trainers", "reproductions", "examples", "perf")
    for path in (ROOT / folder).rglob("*.py")
]


def offences(path):
    """What in a file's syntax tree could execute data."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        else:
            names = set()
        yield from names & UNPICKLERS
        if isinstance(node, ast.ImportFrom):
            yield from {alias.name for alias in node.names} & UNPICKLING.get(node.module, set())
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from {node.attr} & UNPICKLING.get(node.value.id, set())
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                yield node.func.id
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and getattr(keyword.value, "value", None) is not False:
                    yield "allow_pickle"
                if keyword.arg == "safe_mode" and getattr(keyword.value, "value", None) is not True:
                    yield "safe_mode"


def test_offences_are_seen(tmp_path):
    source = (
        "import pandas, joblib\nfrom pandas import read_hdf\npandas.read_pickle(x)\njoblib.load(x)\npandas.DataFrame(x)"
    )
    (tmp_path / "module.py").write_text(source)
    assert sorted(offences(tmp_path / "module.py")) == ["load", "read_hdf", "read_pickle"]


def test_no_pickle_outside_the_named_converter():
    found = {str(path.relative_to(ROOT)): sorted(offences(path)) for path in SOURCES if any(offences(path))}
    converter = found.pop(str(CONVERTER.relative_to(ROOT)))
    assert "pickle" in converter
    allowed = {"tfnas/benchmarks/readers/registry.py": ["allow_pickle"]}  # hands the user's consent to the converter
    assert found == allowed


class Hostile:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


READERS = {
    "npz": artefacts.read_npz,
    "table": read_table,
    "images": load_images,
}


@pytest.mark.parametrize("name", READERS)
def test_a_hostile_npz_does_not_run(name, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "hostile.npz"
    np.savez(path, images=np.array([Hostile(trace)], object), labels=np.array([Hostile(trace)], object))
    with pytest.raises(TfnasError):
        READERS[name](path)
    assert not trace.exists()
    np.load(path, allow_pickle=True)["images"]  # the fixture does what it is feared for
    assert trace.exists()


@pytest.mark.parametrize(
    ("read", "folder", "file"),
    [
        (Index.load, "index", "items.npz"),
        (jacobian_corpus.load, "jacobians", "cells.npz"),
    ],
)
def test_a_hostile_part_of_an_artefact_does_not_run(read, folder, file, tmp_path):
    """Even if its manifest was forged."""
    import shutil

    shutil.copytree(ROOT / "tests" / "golden" / "v1" / folder, tmp_path / folder)
    trace, path = tmp_path / "trace", tmp_path / folder / file
    names = artefacts.read_npz(path)
    np.savez(path, **{name: np.array([Hostile(trace)], object) for name in names})
    manifest = artefacts.read_json(tmp_path / folder / "manifest.json")
    manifest["files"][file] = {"sha256": artefacts.sha256(path), "bytes": path.stat().st_size}
    artefacts.write_json(tmp_path / folder / "manifest.json", manifest)
    with pytest.raises(CorruptArtefactError, match=file):
        read(tmp_path / folder)
    assert not trace.exists()


def test_a_hostile_keras_file_does_not_run(tmp_path, monkeypatch):
    """A Lambda layer carries bytecode; the importer reads its graph without it, or refuses it."""
    import keras

    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "trace"
    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(lambda x: (__import__("os").mkdir("trace"), x)[1], output_shape=(4,))(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "hostile.keras")
    if trace.exists():  # building it ran it once
        trace.rmdir()
    with zipfile.ZipFile(tmp_path / "hostile.keras") as archive:
        assert b"__lambda__" in archive.read("config.json")
    with pytest.raises(TfnasError):
        importers.from_file(tmp_path / "hostile.keras")
    assert not trace.exists()


def test_the_converter_unpickles_plain_values_only(tmp_path):
    import bz2

    trace = tmp_path / "trace"
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    for name in ("meta", "000000"):
        with bz2.open(folder / f"{name}.pickle.pbz2", "wb") as file:
            pickle.dump({"total": Hostile(trace)}, file)
    with pytest.raises(TfnasError):
        nats_bench.convert(folder, tmp_path / "out.npz", "nats_tss", allow_pickle=True)
    assert not trace.exists()

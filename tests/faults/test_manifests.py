"""Manifests that somebody edited: the error names the entry."""

import json
import shutil
import typing

import pytest

from tests.fork import ROOT
from tfnas import artefacts, encoders, typed
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.corpora import shards
from tfnas.encoders import ENCODERS
from tfnas.encoders import corpus as embedding_pipeline
from tfnas.encoders.arch2vec import saved
from tfnas.encoders.jacobian import corpus as jacobian_corpora
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.predictors import label_predictor
from tfnas.predictors import saved as predictors
from tfnas.retrieval import index
from tfnas.saved_models import SHIPPED
from tfnas.spaces import NASBench201

GOLDEN = ROOT / "tests" / "golden" / "v1"
READERS = {
    **{
        f"{name}_encoder": (SHIPPED / name, row.saved.FACTS, row.saved)
        for name, row in (
            ("arch2vec_nasbench201", ENCODERS["arch2vec"]),
            ("cg_encoder", ENCODERS["computation_graph"]),
            ("jacobian_encoder", ENCODERS["jacobian"]),
            ("motif_encoder", ENCODERS["motif"]),
            ("colour_encoder", ENCODERS["colour"]),
        )
    },
    "predictor": (SHIPPED / "cg_predictor", predictors.Facts, predictors.SavedPredictor),
    "index": (GOLDEN / "index", index.Facts, index.Index.load),
    "cells": (GOLDEN / "cells", cell_corpora.Facts, lambda folder: cell_corpora.load_cells(folder, NASBench201())),
    "graphs": (GOLDEN / "graphs", graph_corpora.Facts, lambda folder: list(graph_corpora.read_graphs(folder))),
    "jacobians": (GOLDEN / "jacobians", jacobian_corpora.Facts, jacobian_corpora.load),
    "embeddings": (
        GOLDEN / "sharded" / "embeddings",
        embedding_pipeline.Facts,
        lambda folder: list(embedding_pipeline.read_embeddings(folder)),
    ),
    "table": (GOLDEN / "embeddings", saved.TableFacts, lambda folder: saved.read_embedding_table(folder, None)),
}
"""Folder, entries and reader of every kind of artefact with a manifest."""


def edited(source, tmp_path, **changes):
    """A folder with a manifest alone, without the entries whose change is None."""
    manifest = artefacts.read_json(source / "manifest.json") | changes
    manifest.pop("entries_sha256", None)
    kept = {name: value for name, value in manifest.items() if value is not None}
    (tmp_path / "manifest.json").write_text(json.dumps(kept))
    return tmp_path


@pytest.mark.parametrize("name", READERS)
def test_every_entry_is_checked(name, tmp_path):
    source, facts, read = READERS[name]
    required = artefacts.Manifest.__required_keys__ | facts.__required_keys__
    for entry in typing.get_type_hints(artefacts.Manifest) | typing.get_type_hints(facts):
        if entry == "entries_sha256":  # the next test
            continue
        for change, message in ((None, "is missing"), (-1.5, r"is -1\.5, expected")):
            if change is None and entry not in required:
                continue
            with pytest.raises(CorruptArtefactError, match=rf"manifest\['{entry}'\] {message}") as caught:
                read(edited(source, tmp_path, **{entry: change}))
            assert "\n" not in str(caught.value)
    assert label_predictor.is_own(tmp_path) is False


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "a/../b", "a//b", "./a", "", "..", "a/", "a\0b"], ids=lambda name: repr(name)
)
def test_files_stay_in_the_folder(name, tmp_path):
    entry = {"sha256": "0" * 64, "bytes": 0}
    folder = edited(GOLDEN / "index", tmp_path, files={name: entry})
    with pytest.raises(CorruptArtefactError, match="expected a file inside the folder"):
        artefacts.read_manifest(folder)


def test_no_files(tmp_path):
    with pytest.raises(CorruptArtefactError, match=r"manifest\['files'\] is empty"):
        encoders.load(edited(SHIPPED / "cg_encoder", tmp_path, files={}))


def test_files_that_are_read_are_named(tmp_path):
    files = artefacts.read_json(SHIPPED / "cg_encoder" / "manifest.json")["files"]
    del files["saved_model.pb"]
    with pytest.raises(CorruptArtefactError, match=r"manifest\['files'\] lacks 'saved_model.pb'"):
        encoders.load(edited(SHIPPED / "cg_encoder", tmp_path, files=files))


def test_a_changed_entry(tmp_path):
    """The manifest's own SHA-256 tells a changed number, which every type allows."""
    (tmp_path / "data").write_bytes(b"0")
    artefacts.write_manifest(tmp_path, kind="test", records=16)
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace("16", "17"))
    with pytest.raises(CorruptArtefactError, match="its entries differ from its entries_sha256"):
        artefacts.read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"width": "a"}, CorruptArtefactError, r"\['width'\] is 'a', expected a whole number"),
        ({"width": True}, CorruptArtefactError, r"\['width'\] is True, expected a whole number"),
        ({"dropout": None}, CorruptArtefactError, r"\['dropout'\] is None, expected a number"),
        ({"depth": 3}, MismatchError, "does not know .a setting 'depth'"),
        ({"width": 0}, MismatchError, "does not know .width=0"),
        ([], CorruptArtefactError, "expected an object"),
    ],
)
def test_settings(config, error, message):
    with pytest.raises(error, match=message):
        typed.instance(MotifEncoderConfig, config, "manifest.json: config")


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100_000, '{"kind": "\ud800"}', "NaN", "null", "3", '"x"'])
def test_json_of_no_manifest(text, tmp_path):
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CorruptArtefactError, match=r"manifest\.json") as caught:
        artefacts.read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_records_that_can_not_be(tmp_path):
    """A corpus of more records than its files have room for takes no memory."""
    for changes in ({"records": [10**12, 10**12], "total": 2 * 10**12}, {"records": [2], "total": 2}, {"total": 99}):
        folder = edited(GOLDEN / "cells", tmp_path, **changes)
        with pytest.raises(CorruptArtefactError, match=r"do not agree|has not the room"):
            shards.read_manifest(folder, cell_corpora.KIND, cell_corpora.Facts, check_files=False)


def test_records_of_other_files(tmp_path):
    source = GOLDEN / "sharded" / "embeddings"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    for records in ([], [2], [2, 1, 1]):
        folder = edited(source, tmp_path, records=records)
        with pytest.raises(CorruptArtefactError, match=rf"2 files, and numbers of records of {len(records)}"):
            list(embedding_pipeline.read_embeddings(folder))


def test_a_width_that_the_model_does_not_take(tmp_path):
    source = SHIPPED / "motif_encoder"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    config = artefacts.read_json(source / "manifest.json")["config"] | {"neighbourhood_width": 10**30}
    with pytest.raises(CorruptArtefactError, match=r"neighbourhood_width.* is 10{30}, the SavedModel takes 768"):
        encoders.load(edited(source, tmp_path, config=config))


def test_a_predictor_whose_manifest_does_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(predictors, "load_module", lambda *_, **__: None)
    source = SHIPPED / "cg_predictor"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    manifest = artefacts.read_json(source / "manifest.json")
    training, groups = manifest["training"], manifest["input_groups"]
    families = training["families"]
    shorter = {name: {"accuracy": curve["accuracy"] | {"low": [0.5]}} for name, curve in families.items()}
    changes: dict[str, dict] = {
        "out of bounds": {"input_groups": groups | {"sizes": [10**6]}},
        "not of the same length": {"training": training | {"families": shorter}},
        "nobody": {"family_names": ["nobody", *manifest["family_names"][1:]]},
        "embedding of the graph": {"input_groups": {"sizes": groups["sizes"]}},
    }
    for reason, entries in changes.items():
        with pytest.raises(CorruptArtefactError, match=rf"manifest and reference\.npz do not agree \(.*{reason}"):
            predictors.SavedPredictor(edited(source, tmp_path, **entries))


def test_a_record_beyond_its_file(tmp_path):
    """TensorFlow takes memory for the length of a record before it reads the record."""
    (tmp_path / "a.tfrecord").write_bytes((2**40).to_bytes(8, "little") + bytes(20))
    with pytest.raises(CorruptArtefactError, match=r"a\.tfrecord: record 0 at byte 0 reaches beyond 28 bytes"):
        list(shards.read_file(tmp_path / "a.tfrecord"))

"""A corpus from files: what fails is listed, what is done is not done again."""

import json

import keras
import pytest

from tests.graphs.importers.test_onnx_graphs import noise, write
from tfnas.corpora import builder, sources
from tfnas.corpora import graphs as graph_corpora
from tfnas.corpora.sources import Converter, Job
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory"]


@pytest.fixture
def folder(tmp_path):
    """Two families of models, and a file that is none."""
    from onnx import helper

    for family, units in (("small", 2), ("large", 200)):
        (tmp_path / "models" / family).mkdir(parents=True)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(3)])
        model.save(tmp_path / "models" / family / "dense.keras")
    model.export(tmp_path / "models" / "large" / "exported", verbose=False)
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"])]
    write(tmp_path / "models" / "small" / "one.onnx", nodes, {"w": noise(4, 4)}, (1, 4))
    (tmp_path / "models" / "small" / "broken.onnx").write_bytes(b"nothing")
    return tmp_path / "models"


def test_from_a_folder(folder, tmp_path, monkeypatch):
    jobs = sources.list_jobs([], folder)
    assert [(job.source, job.family) for job in jobs] == [("file", "large")] * 2 + [("file", "small")] * 3
    summary = builder.build_corpus(jobs, tmp_path / "out", beam_options=IN_MEMORY)
    assert (summary["models"], summary["failures"]) == (4, 1)
    assert summary["families"] == {"large": 2, "small": 2}
    assert not summary["unknown_operators"]
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert failure["model"].endswith("broken.onnx")
    assert "not an ONNX file" in failure["reason"]
    graphs = list(graph_corpora.read_graphs(tmp_path / "out" / "corpus"))
    assert [graph.name for graph in graphs] == ["dense", "exported", "dense", "one"]
    assert summary["packages"] == {}
    assert all((tmp_path / "out" / name).is_file() for name in ("summary.json", "families.md", "statistics.png"))

    def no_work(*_):
        raise AssertionError("every model was done")

    monkeypatch.setattr(Converter, "convert", no_work)
    assert builder.build_corpus(jobs, tmp_path / "out", beam_options=IN_MEMORY) == summary
    done = next((tmp_path / "out" / "models").glob("*.example"))
    done.write_bytes(done.read_bytes()[:-9])
    with pytest.raises(CorruptArtefactError, match="delete it and resume"):
        builder.build_corpus(jobs, tmp_path / "out", beam_options=IN_MEMORY)


def test_parameters_must_agree(monkeypatch):
    """A model whose graph misses parameters is a failure, not a graph."""
    job = Job("keras", "MobileNet", "mobilenet")
    graph = Converter().convert(job)
    monkeypatch.setattr(
        "tfnas.graphs.importers.keras_graphs.from_constructor", lambda *_, **__: (graph, 2 * graph.total_parameters)
    )
    with pytest.raises(InvalidArchitectureError, match=r"the graph holds 4,253,864 parameters, the model 8,507,728"):
        Converter().convert(job)


def test_mistakes(tmp_path):
    with pytest.raises(ConfigurationError, match="source 'hub', expected one of"):
        sources.list_jobs(["hub"])
    with pytest.raises(ConfigurationError, match="make corpus-venv"):
        sources.list_jobs(["timm"])
    with pytest.raises(ConfigurationError, match="no such folder"):
        sources.list_jobs([], tmp_path / "none")
    with pytest.raises(ConfigurationError, match="no models"):
        builder.build_corpus([], tmp_path)
    with pytest.raises(ConfigurationError, match="listed twice"):
        builder.build_corpus([Job("file", "a", "b")] * 2, tmp_path)
    with pytest.raises(ConfigurationError, match="none of 1 models"):
        builder.build_corpus([Job("file", "a.onnx", "b")], tmp_path, beam_options=IN_MEMORY)


def test_families_of_applications():
    jobs = {job.model: job.family for job in sources.list_jobs(["keras"])}
    assert len(jobs) >= 35
    assert (jobs["ResNet50V2"], jobs["MobileNetV3Small"]) == ("resnet_v2", "mobilenet_v3")


def test_versions_and_licences():
    jobs = sources.list_jobs(["keras"])
    assert sources.packages([*jobs, Job("file", "a.onnx", "b")]) == {
        "keras": {"version": keras.__version__, "licence": "Apache-2.0"}
    }

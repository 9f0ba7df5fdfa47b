"""Texts that name models: architectures of spaces, shipped models, paths."""

import pathlib

import pytest

from tfnas import saved_models
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.networks import symbolic
from tfnas.networks.models import named_model, named_models
from tfnas.spaces import NATSSize


def test_an_architecture_is_the_graph_of_its_network():
    space = NATSSize()
    expected = symbolic.build(space, space.read("8:16:24:32:40"))
    for text in ("nats_size:8:16:24:32:40", f"nats_size:{space.write(space.read('8:16:24:32:40'), 'index')}"):
        graph = named_model(text)
        assert (graph.name, graph.family) == (text, "nats_size")
        assert graph.operator_names == expected.operator_names
        assert (graph.num_nodes, graph.num_edges) == (expected.num_nodes, expected.num_edges)


def test_other_texts_are_paths():
    assert named_model("cg_encoder") == saved_models.SHIPPED / "cg_encoder"
    for text in ("./nats_size:8", "nats_size", "nats_size:", "C:model.keras"):
        assert named_model(text) == pathlib.Path(text)


def test_an_architecture_of_another_space_is_a_mistake():
    with pytest.raises(InvalidArchitectureError, match="'8:16:24:32:40' is no nasbench201 architecture"):
        named_model("nasbench201:8:16:24:32:40")


def test_a_folder_stands_for_its_models(tmp_path):
    for name in ("b.onnx", "a/model.keras", "a/notes.txt", "c/saved_model.pb", "c/assets/tiny.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    folder = str(tmp_path)
    assert named_models([folder, "cg_encoder", f"{folder}/b.onnx"]) == [
        *(tmp_path / name for name in ("a/model.keras", "b.onnx", "c/assets/tiny.onnx", "c")),
        saved_models.SHIPPED / "cg_encoder",
        tmp_path / "b.onnx",
    ]
    assert named_models([f"{folder}/c"]) == [tmp_path / "c"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"empty: no model in this folder, expected a \.keras file"):
        named_models([f"{folder}/empty"])

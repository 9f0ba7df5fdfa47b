"""Texts that name models: architectures of spaces, shipped models, paths."""

import pathlib

import pytest

from tfnas import saved_models
from tfnas.errors import InvalidArchitectureError
from tfnas.networks import symbolic
from tfnas.networks.models import named_model
from tfnas.spaces import NATSSize


def test_an_architecture_is_the_graph_of_its_network():
    space = NATSSize()
    expected = symbolic.build(space, space.read("8:16:24:32:40"))
    for text in ("nats_size:8:16:24:32:40", f"nats_size:{space.write(space.read('8:16:24:32:40'), 'index')}"):
        graph = named_model(text)
        assert (graph.name, graph.family) == ("nats_size", "nats_size")
        assert graph.operator_names == expected.operator_names
        assert (graph.num_nodes, graph.num_edges) == (expected.num_nodes, expected.num_edges)


def test_other_texts_are_paths():
    assert named_model("cg_encoder") == saved_models.SHIPPED / "cg_encoder"
    for text in ("./nats_size:8", "nats_size", "nats_size:", "C:model.keras"):
        assert named_model(text) == pathlib.Path(text)


def test_an_architecture_of_another_space_is_a_mistake():
    with pytest.raises(InvalidArchitectureError, match="'8:16:24:32:40' is no nasbench201 architecture"):
        named_model("nasbench201:8:16:24:32:40")

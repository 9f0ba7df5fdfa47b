"""Graphs straight from architectures are the graphs of the networks; golden counts; the benchmarks' parameters."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.graphs.isomorphism import equivalent
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.networks import symbolic
from tfnas.networks.darts import DartsNetwork, DartsSkeleton
from tfnas.networks.mobilenetv3 import MobileNetV3Network, MobileNetV3Skeleton
from tfnas.networks.nasbench101 import NASBench101Network, NASBench101Skeleton
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.networks.nats_size import NATSSizeNetwork
from tfnas.networks.registry import NETWORKS
from tfnas.spaces import NONE, Architecture, Darts, FiniteSpace, NASBench101, NASBench201, NATSSize, get_space
from tfnas.spaces import nasbench101 as nasbench101_space

SMALL_NETWORKS = {
    "nasbench101": (NASBench101Skeleton(channels=16, modules_per_stack=2, stacks=2), NASBench101Network),
    "nasbench201": (Skeleton(channels=4, cells_per_stage=2), NASBench201Network),
    "nats_size": (Skeleton(num_classes=7), lambda skeleton, cell: NATSSizeNetwork(cell, skeleton.num_classes)),
    "darts": (DartsSkeleton(channels=4, layers=4, auxiliary=False), DartsNetwork),
    "nasbench301": (DartsSkeleton(channels=4, layers=3, large_images=True, auxiliary=False), DartsNetwork),
    "mobilenetv3": (MobileNetV3Skeleton(num_classes=5, width=1.0), MobileNetV3Network),
}
LARGE_NETWORKS = ("darts", "nasbench301")
"""Spaces whose networks of full size take some ten seconds to build and to read."""
CELL_201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def cell_101() -> Architecture:
    conv, pool = nasbench101_space.CONV3X3, nasbench101_space.MAXPOOL3X3
    adjacency = np.zeros((7, 7), np.uint8)
    for edge in ["01", "02", "13", "34", "15", "25", "45", "56", "06"]:
        adjacency[int(edge[0]), int(edge[1])] = 1
    return Architecture(("input", conv, conv, pool, conv, conv, "output"), adjacency)


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_equals_what_the_importer_reads_from_the_network(name, rng, small_nasbench101):
    """Isomorphic, with operators, shapes, kernels, biases and parameters; also for odd image sizes where they fit."""
    skeleton, network = SMALL_NETWORKS[name]
    space = small_nasbench101 if name == "nasbench101" else get_space(name)
    count = 1 if name in ("mobilenetv3", "darts", "nasbench301") else 3
    cells = space.sample(count, rng)
    size = 64 if name in ("mobilenetv3", "nasbench301") else 32
    for row in range(count):
        architecture = space.architecture(cells, row)
        read = from_keras(network(skeleton, architecture), inputs=tf.TensorSpec((None, size, size, 3)))
        made = symbolic.build(space, architecture, skeleton=skeleton, image_size=size)
        assert equivalent(made, read), space.to_string(architecture)
        assert not made.unknown


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE_NETWORKS else name for name in NETWORKS]
)
def test_a_row_agrees_with_itself(name, rng, small_nasbench101):
    """Of every space: the graph is that of the Keras network, in both layouts it has the space as family."""
    space, network = small_nasbench101 if name == "nasbench101" else get_space(name), NETWORKS[name]
    architecture = space.architecture(space.sample_without(NONE, 1, rng), 0)
    graphs = [symbolic.build(space, architecture, layout=layout) for layout in symbolic.LAYOUTS]
    read = symbolic.build(space, architecture, network=dataclasses.replace(network, graph=None))
    assert equivalent(graphs[0], read)
    assert {graph.family for graph in (*graphs, read)} == {name}
    assert not graphs[1].unknown


def test_golden_counts_of_the_predictors_nasbench201():
    cell = NASBench201().from_string(CELL_201)
    graph = symbolic.build(NASBench201(), cell, layout="predictor")
    assert (graph.num_nodes, graph.num_edges) == (306, 352)
    assert graph.counts() == {
        **{"conv": 82, "relu": 79, "batch_norm": 76, "add": 47, "identity": 16, "avg_pool": 2},
        **{"matmul": 1, "mean": 1, "input": 1, "output": 1},
    }


def test_golden_counts_of_nasbench101():
    for layout in symbolic.LAYOUTS:
        graph = symbolic.build(NASBench101(), cell_101(), layout=layout)
        assert (graph.num_nodes, graph.num_edges) == (225, 251)


def test_predictors_darts_has_the_published_range_of_sizes(rng):
    """The group's own graphs have some 520 to 1,210 nodes, 907 on average."""
    space = get_space("nasbench301")
    cells = space.sample(100, rng)
    sizes = [symbolic.build(space, space.architecture(cells, row), layout="predictor").num_nodes for row in range(100)]
    assert 880 < np.mean(sizes) < 930
    counts = symbolic.build(space, space.architecture(cells, 0), layout="predictor").counts()
    assert counts["space_to_batch"] == counts["batch_to_space"]
    assert "matmul" not in counts


def test_facts_and_mistakes(rng):
    cell = NASBench201().from_string(CELL_201)
    graph = symbolic.build(NASBench201(), cell, name="mine", label=0.9)
    assert (graph.name, graph.family, graph.label) == ("mine", "nasbench201", 0.9)
    with pytest.raises(ConfigurationError, match="layout='mine', expected one of benchmark, predictor"):
        symbolic.build(NASBench201(), cell, layout="mine")
    unknown = FiniteSpace("mine", [Architecture(("in", "out"), np.eye(2, k=1))])
    with pytest.raises(ConfigurationError, match="no network of mine, only of nasbench101"):
        symbolic.build(unknown, cell)
    read = dataclasses.replace(NETWORKS["nasbench201"], graph=None)
    with pytest.raises(ConfigurationError, match="have no skeleton"):
        symbolic.build(NASBench201(), cell, network=read, skeleton=Skeleton())
    with pytest.raises(InvalidArchitectureError):
        symbolic.build(NATSSize(), cell)
    none = NASBench201().from_string(CELL_201.replace("skip_connect", "none"))
    assert symbolic.build(NASBench201(), none).counts()["zero"] == 15
    with pytest.raises(InvalidArchitectureError, match="'none'"):
        symbolic.build(NASBench201(), none, layout="predictor")
    with pytest.raises(InvalidArchitectureError, match="'none'"):
        symbolic.build(Darts(), Darts().from_genotype(["none"] * 8, [0, 1] * 4), layout="predictor")


def test_size_space_widens_by_projection():
    """8:16:32:64:64 changes channels in its second and not in its third cell; 32 x 32 images end as 8 x 8."""
    graph = symbolic.build(NATSSize(), NATSSize().from_string("8:16:32:64:64"))
    assert graph.counts()["conv"] == 1 + 3 * 5 + 1 + 2 * 3
    assert graph.shapes[-4].tolist()[1:] == [8, 8, 8, 64, 64]


@pytest.mark.data
def test_parameters_of_nasbench101(data_dir, rng):
    """Trainable parameters of 2,000 random cells, batch norms counted by half (the rest is not trained)."""
    table = np.load(data_dir / "nasbench101.npz")
    cells, md5 = NASBench101().enumerate_with_hashes()
    np.testing.assert_array_equal(md5[:100], table["md5"][:100])
    for row in rng.choice(len(cells), 2000, replace=False):
        graph = symbolic.build(NASBench101(), NASBench101().architecture(cells, row))
        assert trainable(graph) == table["parameters"][row]


@pytest.mark.data
def test_parameters_of_nasbench201(data_dir, rng):
    """Equal for all cells but the 150 (1 %) for which the benchmark counts one convolution more or fewer."""
    table = np.load(data_dir / "nasbench201.npz")
    one_convolution = [15 * (size**2 * channels**2 + 2 * channels) // 3 for size in (1, 3) for channels in (16, 32, 64)]
    off_by_one = {0, sum(one_convolution[:3]), sum(one_convolution[3:])}
    wrong = []
    for row in rng.choice(15_625, 500, replace=False):
        cell = NASBench201().from_string(str(table["arch"][row]))
        for data, classes in (("cifar10", 10), ("cifar100", 100), ("imagenet16_120", 120)):
            count = trainable(symbolic.build(NASBench201(), cell, skeleton=Skeleton(num_classes=classes)))
            expected = round(1e6 * float(table[f"{data}_parameters_millions"][row]))
            assert abs(count - expected) in off_by_one
            wrong.append(count != expected)
    assert np.mean(wrong) < 0.02


def trainable(graph):
    norms = np.array([name == "batch_norm" for name in graph.operator_names])
    return int(graph.parameters.sum() - graph.parameters[norms].sum() // 2)

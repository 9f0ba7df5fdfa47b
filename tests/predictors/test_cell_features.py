"""Features of cells against numbers by hand and against paths that networkx lists."""

import networkx
import numpy as np
import pytest

from tfnas.errors import ConfigurationError
from tfnas.predictors.cell_features import BLOCKS, GRAPH_BLOCKS, CellFeatures, Scale
from tfnas.predictors.graf import subsets
from tfnas.predictors.live_cells import LiveCells
from tfnas.spaces import SPACES, NASBench101, NASBench201, genotypes, get_space

SPACE = NASBench201()
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


def live(text):
    return LiveCells.of(SPACE, SPACE.from_strings([text]))


def test_dead_vertices_by_hand():
    """Vertices 1 to 6 are the edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3 of the benchmark."""
    cells = live(CELL)
    codes = [SPACE.operations.index(name) for name in ("nor_conv_3x3", "skip_connect", "avg_pool_3x3", "nor_conv_1x1")]
    assert cells.codes[0].tolist() == [0, codes[0], -1, codes[1], codes[2], -1, codes[3], 6]
    assert np.argwhere(cells.edges[0]).tolist() == [[0, 1], [0, 4], [1, 3], [3, 6], [4, 7], [6, 7]]


def test_what_leads_nowhere_is_dead():
    assert (live("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|").codes == -1).all()


def columns(block, text):
    """Raw features of a cell, and the names of the operations behind the codes of its subsets."""
    reference = LiveCells.of(SPACE, SPACE.sample(300, 0))
    describe = BLOCKS[block](SPACE, reference)
    return describe, describe(live(text))[0]


def test_graph_numbers_by_hand():
    """Two paths: 3x3, skip, 1x1; and the pool."""
    describe, values = columns("graph", CELL)
    assert values[0] == pytest.approx(np.log1p(2))
    found = dict(zip(map(tuple, describe.subsets), values[1:].reshape(-1, 10), strict=True))
    conv1, conv3, pool, skip = (
        SPACE.operations.index(name) for name in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect")
    )
    # count, most and mean on a path, edges inside, per vertex, into the output; share, fewest, most, from the input
    np.testing.assert_allclose(found[pool,], [1, 1, 0.5, 0, 0, 1, 0.5, 1, 1, 1])
    np.testing.assert_allclose(found[conv1, conv3], [2, 2, 1, 0, 0, 1, 0, -1, -1, 1])
    np.testing.assert_allclose(found[conv1, conv3, skip], [3, 3, 1.5, 2, 2 / 3, 1, 0.5, 3, 3, 1])
    np.testing.assert_allclose(found[conv1, conv3, pool, skip], [4, 3, 2, 2, 0.5, 2, 1, 1, 3, 2])


def test_graph_numbers_against_listed_paths():
    space = NASBench101()
    cells = space.sample(60, 3)
    component = LiveCells.of(space, cells)
    describe = BLOCKS["graph"](space, component)
    values = describe(component)[:, 1:].reshape(len(cells), len(describe.subsets), 10)
    for row in range(len(cells)):
        architecture = space.architecture(cells, row)
        graph = networkx.DiGraph(architecture.edges)
        paths = list(networkx.all_simple_paths(graph, 0, architecture.num_vertices - 1))
        for subset, numbers in zip(describe.subsets, values[row], strict=True):
            names = {space.operations[code] for code in subset}
            members = [[architecture.operations[vertex] in names for vertex in path[1:-1]] for path in paths]
            within = [sum(path) for path in members if all(path)]
            assert numbers[1] == max(map(sum, members))
            assert numbers[2] == pytest.approx(np.mean([sum(path) for path in members]), rel=1e-6)
            assert numbers[6] == pytest.approx(len(within) / len(paths))
            assert numbers[7:9].tolist() == ([min(within), max(within)] if within else [-1, -1])


def test_sequences_along_paths_by_hand():
    """A skip counts for nothing, so that two cells with the same sequences have the same features."""
    _, values = columns("paths", CELL)
    assert sorted(values[values > 0]) == pytest.approx([np.log1p(1)] * 2)
    _, same = columns("paths", "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")
    np.testing.assert_array_equal(values, same)
    _, twice = columns("paths", "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|nor_conv_1x1~1|none~2|")
    assert values.shape == twice.shape
    assert twice[twice > 0].tolist() == pytest.approx([np.log1p(2)])


@pytest.mark.parametrize("name", SPACES)
def test_scales_of_every_space(name):
    space = get_space(name)
    reference = space.sample(200, 1)
    features = CellFeatures(space, reference)
    assert {"operations", "graph"} <= set(features.names)
    for block in features.transform(reference):
        assert block.dtype == np.float32
        np.testing.assert_allclose(block.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose((block**2).sum(axis=1).mean(), 1, rtol=1e-4)
    some = features.transform(reference[np.array([5, 2])])
    for whole, part in zip(features.transform(reference), some, strict=True):
        np.testing.assert_array_equal(whole[[5, 2]], part)


def test_columns_that_do_not_vary_are_left_out():
    block = np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0], [2.0, 5.0, 3.0]])
    scale = Scale.of(block)
    assert scale.columns.tolist() == [0, 2]
    np.testing.assert_allclose(scale(block)[:, 0], (block[:, 0] - 2) / block[:, 0].std() / np.sqrt(2), rtol=1e-6)


def test_subsets_of_many_operations():
    names = list(genotypes.OPERATIONS)
    chosen = subsets(names, range(7))
    for expected in (
        [2],
        [0, 1],
        [3, 4],
        [5, 6],
        [3, 4, 5, 6],
        [4, 6],
        [0, 1, 3, 5],
        [0, 1, 3, 4, 5, 6],
        list(range(7)),
    ):
        assert expected in chosen
    assert len(subsets(names[:5], range(5))) == 2**5 - 1


def test_refusals():
    with pytest.raises(ConfigurationError, match="no features 'colour', expected some of operations, paths, graph"):
        CellFeatures(SPACE, SPACE.sample(10, 0), ["colour"])
    with pytest.raises(ConfigurationError, match="differ in no feature"):
        CellFeatures(SPACE, SPACE.sample(1, 0))


def test_kinds_are_columns_of_all_numbers():
    space = NASBench101()
    cells = space.sample(80, 3)
    (whole,) = CellFeatures(space, cells, ["graph"]).transform(cells)
    described = CellFeatures(space, cells, tuple(GRAPH_BLOCKS))
    assert described.names == tuple(GRAPH_BLOCKS)
    width = 0
    for block in described.transform(cells):
        width += block.shape[1]
        scale = np.sqrt(whole.shape[1] / block.shape[1])
        for column in block.T:
            assert np.isclose(whole.T * scale, column, atol=1e-5).all(axis=1).any()
    assert width == whole.shape[1]

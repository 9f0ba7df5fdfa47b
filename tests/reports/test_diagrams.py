"""Pictures of cells: every edge can be seen, arrows end on boxes, what does nothing is faint."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports import geometry
from tfnas.reports import diagrams, layout, palette
from tfnas.spaces import Architecture, Darts, NASBench101, NASBench201, Space
from tfnas.spaces.nasbench101 import CONV1X1, CONV3X3, INPUT, MAXPOOL3X3, OUTPUT

CELLS = 8


def check(diagram):
    figure, axes = diagrams.canvas(*diagram.layout.extent)
    diagrams.draw_diagram(axes, diagram, np.zeros(2))
    plt.close(figure)
    geometry.check(axes, list(diagram.edges))


def test_edges_of_every_space_can_be_seen(space, rng):
    cells = space.sample(CELLS, rng)
    for row in range(CELLS):
        cell = space.architecture(cells, row)
        for diagram in (*space.diagrams(cell), *Space.diagrams(space, cell)):
            check(diagram)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.data())
def test_edges_of_any_graph_can_be_seen(data):
    """Up to nine vertices, any edges: more than NAS-Bench-101 allows."""
    count = data.draw(st.integers(1, 9))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    edges = sorted(data.draw(st.sets(st.sampled_from(pairs)))) if pairs else []
    names = data.draw(st.lists(st.sampled_from([CONV3X3, MAXPOOL3X3, "x"]), min_size=count, max_size=count))
    check(diagrams.operations_on_vertices(names, edges))


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.data())
def test_edges_between_columns_can_be_seen(data):
    """Edges may pass whole columns."""
    count = data.draw(st.integers(2, 9))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    edges = sorted(data.draw(st.sets(st.sampled_from(pairs), max_size=12)))
    steps = data.draw(st.lists(st.booleans(), min_size=count - 1, max_size=count - 1))
    columns = (0, *np.cumsum(steps).tolist())
    check(diagrams.operations_on_vertices(["x"] * count, edges, columns=columns))


def test_a_skip_goes_around_the_chain():
    """Four vertices in a row; the skip from first to last leaves the straight line between them."""
    chain = [(0, 1), (1, 2), (2, 3)]
    graph = layout.layered(np.full((4, 2), 0.4), [*chain, (0, 3)])
    assert graph.layers.tolist() == [0, 1, 2, 3]
    assert np.ptp(graph.centres[:, 0]) < 0.2
    skip = layout.sampled(graph.curves[3])
    middle = skip[np.abs(skip[:, 1] - graph.centres[1:3, 1].mean()).argmin()]
    assert abs(middle[0] - graph.centres[1, 0]) > 0.2


def test_crossings_that_can_be_avoided_are_avoided():
    """Two stars whose ends are listed crosswise."""
    edges = [(0, 5), (0, 3), (1, 4), (1, 2)]
    graph = layout.layered(np.full((6, 2), 0.3), edges)
    x = graph.centres[:, 0]
    assert (x[0] < x[1]) == (max(x[[5, 3]]) < min(x[[4, 2]]))


def test_rows_have_bounded_width():
    edges = [(0, vertex) for vertex in range(1, 9)]
    graph = layout.layered(np.full((9, 2), 0.5), edges, widest=2.0)
    assert np.bincount(graph.layers).max() == 3
    assert np.bincount(layout.layered(np.full((9, 2), 0.5), edges).layers).tolist() == [1, 8]


def test_what_does_nothing_is_faint():
    """Vertex 1 has no successor, vertex 2 no predecessor; a branch that ends in `none` feeds nothing."""
    cell = Architecture((INPUT, CONV1X1, CONV3X3, MAXPOOL3X3, OUTPUT), np.zeros((5, 5)))
    edges = [(0, 1), (0, 3), (2, 3), (3, 4)]
    diagram = diagrams.operations_on_vertices(cell.operations, edges)
    assert diagram.dead_vertices == {1, 2}
    assert diagram.dead_edges == {(0, 1), (2, 3)}
    space = NASBench201()
    winner = space.from_string("|none~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|skip_connect~2|")
    (diagram,) = space.diagrams(winner)
    alive = [label for v, label in enumerate(diagram.labels) if v not in diagram.dead_vertices]
    assert sorted(alive) == sorted(["input", "2", "output", palette.label("nor_conv_3x3"), "skip"])
    figure, axes = diagrams.canvas(*diagram.layout.extent)
    diagrams.draw_diagram(axes, diagram, np.zeros(2))
    solid = [patch for patch in axes.patches if patch.get_linestyle() in ("-", "solid")]
    boxes = [patch for patch in solid if hasattr(patch, "get_boxstyle")]
    lines = [patch for patch in solid if hasattr(patch, "get_path") and patch.get_facecolor()[3] == 0]
    assert (len(boxes), len(lines)) == (5, 4)
    plt.close(figure)


def test_nasbench201_has_operations_on_its_six_edges():
    space = NASBench201()
    cell = space.from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|")
    (diagram,) = space.diagrams(cell)
    assert len(diagram.edges) == 12
    assert diagram.operations[4:] == cell.operations[1:-1]
    assert Space.diagrams(space, cell)[0].operations == cell.operations


def test_cells_of_nasbench201_have_one_layout(rng):
    space = NASBench201()
    cells = space.sample(3, rng)
    first, *rest = (space.diagrams(space.architecture(cells, row))[0].layout for row in range(3))
    for layout_of_cell in rest:
        np.testing.assert_array_equal(layout_of_cell.centres, first.centres)


def test_darts_blocks_read_two_operations_each(rng):
    space = Darts()
    (diagram,) = space.diagrams(space.architecture(space.sample(1, rng), 0))
    entering = [sum(target == node for _, target in diagram.edges) for node in range(7)]
    assert entering == [0, 0, 2, 2, 2, 2, 4]


def test_text_lies_in_its_box(space, rng):
    (diagram, *_) = space.diagrams(space.architecture(space.sample(1, rng), 0))
    figure, axes = diagrams.canvas(*diagram.layout.extent)
    diagrams.draw_diagram(axes, diagram, np.zeros(2))
    texts = [text.get_window_extent().transformed(axes.transData.inverted()) for text in axes.texts]
    boxes, _ = geometry.drawn(axes)
    for text, (left, upper, right, lower) in zip(texts, boxes, strict=True):
        assert left < text.x0 < text.x1 < right
        assert upper < min(text.y0, text.y1) < max(text.y0, text.y1) < lower
    plt.close(figure)


@pytest.mark.parametrize(
    "names",
    [
        ("conv3x3-bn-relu", "nor_conv_3x3", "conv_3x3"),
        ("maxpool3x3", "max_pool_3x3", "avg_pool_3x3", "max_pool"),
        ("skip_connect", "skip", "identity"),
        ("input", "output", "c_k-1"),
    ],
)
def test_the_same_operation_has_the_same_colour(names):
    assert len({palette.colour(name) for name in names}) == 1


def test_operations_of_a_space_can_be_told_apart():
    for space in (NASBench101, NASBench201):
        inner = [name for name in space.operations if palette.family(name) != "input, output"]
        assert len({palette.colour(name) for name in inner}) == len(inner)
    shades = [palette.colour(f"channels_{width}") for width in (8, 16, 32, 64)]
    assert [sum(shade) for shade in shades] == sorted((sum(shade) for shade in shades), reverse=True)


def test_pictures_stand_in_rows(tmp_path):
    space = NASBench201()
    (diagram,) = space.diagrams(space.architecture(space.enumerate(), 5))
    diagrams.draw([diagram] * 3, tmp_path / "three.png", title="a, b + c $d$", columns=2)
    svg = (tmp_path / "three.svg").read_text()
    assert svg.count("<!-- input -->") == 3
    assert "<!-- a, b + c $d$ -->" in svg
    # Three do not fit on a page side by side.
    diagrams.draw([diagram] * 3, tmp_path / "again.png", title="a, b + c $d$")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "three.svg").read_bytes()

"""Figures show everything they are given, and their files are whole."""

import itertools

import matplotlib.artist
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from tfnas.reports import figures


class NoPixels(matplotlib.artist.Artist):
    """Can be drawn as SVG, not as PNG."""

    def draw(self, renderer):
        if hasattr(renderer, "buffer_rgba"):
            raise OSError("no space left")


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    figure = plt.figure()
    figures.save_figure(figure, tmp_path / "new" / "a.png")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "a.svg"]
    before = (tmp_path / "new" / "a.svg").read_bytes()
    figure = plt.figure(figsize=(1, 1))
    figure.add_artist(NoPixels())
    for folder in ("new", "empty"):
        with pytest.raises(OSError, match="no space left"):
            figures.save_figure(figure, tmp_path / folder / "a.png")
    assert (tmp_path / "new" / "a.svg").read_bytes() == before
    assert not list((tmp_path / "empty").iterdir())
    plt.close(figure)


@pytest.fixture
def drawn(monkeypatch):
    """Figures that would be written."""
    figures_drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: figures_drawn.append(figure))
    yield figures_drawn
    plt.close("all")


def test_every_strategy_has_a_curve_of_its_own(tmp_path, drawn, rng):
    scores = {f"strategy {number}": rng.random((3, 10)) for number in range(14)}
    figures.search_curves(scores, tmp_path / "curves.png", title="many")
    lines = drawn[0].axes[0].get_lines()
    assert [line.get_label() for line in lines] == list(scores)
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 14
    for line, values in zip(lines, scores.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.maximum.accumulate(values, axis=1).mean(axis=0))
    assert "3 runs" in drawn[0].axes[0].get_xlabel()


def test_neighbouring_lines_differ_in_colour_and_style():
    looks = [tuple(figures.look(number).values()) for number in range(24)]
    assert len(set(looks)) == 24
    for first, second in itertools.pairwise(looks):
        assert first[0] != second[0]
        assert first[1] != second[1]


def test_names_stand_beside_the_curves_and_apart(tmp_path, drawn):
    """Five curves that end within a thousandth of each other; runs of different number are told."""
    scores = {f"strategy {number}": np.full((2 + number, 40), 0.9 + 0.0002 * number) for number in range(5)}
    figures.search_curves(scores, tmp_path / "curves.png", title="close")
    axes = drawn[0].axes[0]
    assert sorted(text.get_text() for text in axes.texts) == [f"strategy {n} ({2 + n} runs)" for n in range(5)]
    drawn[0].canvas.draw()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the leader
    assert np.argsort([box.y0 for box in boxes]).tolist() == [int(text.get_text()[9]) for text in axes.texts]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(box.x0 > axes.get_window_extent().x1 for box in boxes)


def test_thousands_of_queries_let_the_space_show_through(tmp_path, drawn, rng):
    embeddings = rng.normal(size=(6000, 4))
    for count in (50, 4000):
        rows = rng.choice(6000, count, replace=False)
        figures.embedding_map(embeddings, rows, rng.random(count), tmp_path / "map.png", title="map")
    (space, few, _), (_, many, ring) = (figure.axes[0].collections for figure in drawn)
    assert (len(space.get_offsets()), len(few.get_offsets()), len(many.get_offsets())) == (6000, 50, 4000)
    assert few.get_alpha() > 0.8
    assert many.get_alpha() < 0.3
    assert many.get_sizes()[0] < few.get_sizes()[0]
    best = np.argmax(many.get_array())
    np.testing.assert_allclose(ring.get_offsets()[0], many.get_offsets()[best])


def test_a_family_map_marks_the_network(tmp_path, drawn, rng):
    embeddings = rng.normal(size=(90, 4))
    families = [f"family {number // 10}" for number in range(90)]
    figures.family_map(embeddings, families, tmp_path / "map.png", title="map", marked=embeddings[7])
    rest, first, *_, ring = drawn[0].axes[0].collections
    assert len(rest.get_offsets()) == 30
    np.testing.assert_allclose(ring.get_offsets()[0], first.get_offsets()[7], atol=1e-6)
    names = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert names == ["other families", *(f"family {number}" for number in range(6)), "this network"]

"""Figures show everything they are given, and their files are whole."""

import matplotlib.artist
import matplotlib.pyplot as plt
import numpy as np
import pytest

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


def test_every_strategy_has_a_curve_of_its_own(tmp_path, monkeypatch, rng):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    scores = {f"strategy {number}": rng.random((3, 10)) for number in range(14)}
    figures.search_curves(scores, tmp_path / "curves.png", title="many")
    lines = drawn[0].axes[0].get_lines()
    assert [line.get_label().split(" (")[0] for line in lines] == list(scores)
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 14
    for line, values in zip(lines, scores.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.maximum.accumulate(values, axis=1).mean(axis=0))

"""Figures show everything they are given."""

import numpy as np

from tfnas.reports import figures


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

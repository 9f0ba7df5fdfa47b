"""Widths of texts against Matplotlib's extents of their outlines."""

import pytest
from matplotlib.textpath import TextPath

from tfnas.reports.texts import text_width


@pytest.mark.parametrize("text", ["conv 3\u00d73\n64\u00d7224\u00d7224", "relu6", "8@#%&()", "ijl|", "  a b  "])
def test_widths_are_those_of_outlines(text):
    widths = [TextPath((0, 0), line, size=6.5).get_extents().width for line in text.split("\n")]
    assert text_width(text, 6.5) == pytest.approx(max(widths) / 72, abs=1e-12)


def test_blank_texts_have_no_width():
    assert text_width(" \n", 6.5) == 0

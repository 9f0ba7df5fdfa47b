"""Widths of texts against Matplotlib's extents of their outlines."""

import string
import subprocess
import sys

import pytest
from matplotlib.textpath import TextPath

from tfnas.graphs.operators import OPERATORS
from tfnas.reports import palette
from tfnas.reports.texts import text_width

SIZE = 6.5


def outline(text):
    """Width of the widest outline of a line, in inches."""
    return max(TextPath((0, 0), line, size=SIZE).get_extents().width for line in text.split("\n")) / 72


@pytest.mark.parametrize(
    "text", ["conv 3\u00d73\n64\u00d7224\u00d7224", "8@#%&()", "ijl|", "  a b  ", string.printable[:94], "AVATAR Ty"]
)
def test_widths_are_those_of_outlines(text):
    """A character has a little room before and behind it, and kerning draws some closer together."""
    assert 0 <= text_width(text, SIZE) - outline(text) < 0.3 * SIZE / 72 + 0.05 * outline(text)


def test_labels_of_operators():
    labels = [palette.label(name) for name in OPERATORS]
    assert all(0 <= text_width(label, SIZE) - outline(label) < 0.3 * SIZE / 72 for label in labels)


def test_unknown_characters_are_wide():
    assert text_width("\u65e5\u672c", SIZE) == 2 * SIZE / 72


def test_blank_texts_have_no_width():
    assert text_width(" \n", SIZE) == 0


def test_texts_are_measured_without_matplotlib():
    program = "import sys, tfnas.reports.texts; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)

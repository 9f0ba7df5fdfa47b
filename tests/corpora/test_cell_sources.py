"""Where cells come from: bounds on the work of sampled DARTS cells, files of architectures."""

import numpy as np
import pytest

from tfnas.corpora import cell_sources
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.networks import darts
from tfnas.spaces import Darts, NASBench201


def test_sampled_darts_cells_keep_a_bound():
    """The bound of arch2vec leaves nearly all; half of the work leaves few, and the sample is still full."""
    space = Darts()
    cells = cell_sources.cells_of(space, None, 200, seed=1, max_multiply_adds=4e8)
    assert len(cells) == 200
    assert darts.work(darts.IMAGENET, cells, 224)[1].max() <= 4e8
    assert len(np.unique(space.canonical_hashes(cells))) == 200
    again = cell_sources.cells_of(space, None, 200, seed=1, max_multiply_adds=4e8)
    np.testing.assert_array_equal(cells.operations, again.operations)


def test_bounds_that_make_no_sense():
    with pytest.raises(ConfigurationError, match="hardly any darts cell needs at most 1e"):
        cell_sources.cells_of(Darts(), None, 10, seed=1, max_multiply_adds=1e6)
    with pytest.raises(ConfigurationError, match="not nasbench201"):
        cell_sources.cells_of(NASBench201(), None, 10, seed=1, max_multiply_adds=6e8)


def test_a_file_has_an_architecture_per_line(tmp_path):
    """Cell 13,714 in four notations, with a blank line between them."""
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    (tmp_path / "cells.txt").write_text(f'13714\n{text}\n\n[2, 2, 0, 2, 3, 2]\r\n"{text}"')
    space = NASBench201()
    cells = cell_sources.read_architectures(space, tmp_path / "cells.txt")
    assert len(cells) == 4
    assert (cells.operations == space.enumerate().operations[13714]).all()


@pytest.mark.parametrize(
    ("content", "error", "reason"),
    [
        (b"13714\n\n99999\n", InvalidArchitectureError, r"cells.txt, line 3: cell 99999, expected 0 to 15624"),
        (b" \n\n", ConfigurationError, "cells.txt: no line, expected an architecture per line"),
        (b"\xff\xfe", ConfigurationError, "cells.txt: not a text file"),
    ],
)
def test_mistakes_in_a_file_of_architectures(tmp_path, content, error, reason):
    (tmp_path / "cells.txt").write_bytes(content)
    with pytest.raises(error, match=reason):
        cell_sources.read_architectures(NASBench201(), tmp_path / "cells.txt")

"""Formats of model files: what is said of them follows from their rows."""

import pathlib

import numpy as np
import pytest

from tfnas.errors import ConfigurationError
from tfnas.graphs import importers
from tfnas.graphs.computation_graph import smallest_graph

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "computation_graphs.md"


def test_the_document_lists_every_format():
    assert f"`graphs.importers.from_file` reads {importers.format_words()}:" in DOCUMENT.read_text()


def test_a_new_format_is_a_row(monkeypatch, tmp_path):
    """A newcomer's row is read, found in folders, and named where a file is of no format."""
    for name in ("net.txt", "other.txt", "README", "notes.md"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match=r"net\.txt: not a model that tfnas reads, expected a \.keras file"):
        importers.from_file(tmp_path / "net.txt")
    graph = smallest_graph()
    row = importers.Format("a .txt file", lambda path, shape, **facts: graph.replace(name=path.stem, **facts))
    monkeypatch.setitem(importers.FORMATS, ".txt", row)
    read = importers.from_file(tmp_path / "net.txt", family="texts")
    assert (read.name, read.family) == ("net", "texts")
    np.testing.assert_array_equal(read.operators, graph.operators)
    assert [path.name for path in importers.model_paths(tmp_path)] == ["net.txt", "other.txt"]
    with pytest.raises(ConfigurationError, match=r"the folder of a SavedModel or a \.txt file"):
        importers.from_file(tmp_path / "notes.md")
    with pytest.raises(ConfigurationError, match="README: not a model that tfnas reads"):
        importers.from_file(tmp_path / "README")

"""The notebooks of the documentation run from an empty folder, and their stored outputs are clean."""

import os
import re

import nbclient
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests import fork
from tests.fork import ROOT

DOCS = ROOT / "docs"
NOTEBOOKS = {
    str(path.relative_to(DOCS).with_suffix("")): path
    for path in sorted(DOCS.rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
}
SMALLER = {
    "theory/arch2vec": {"EPOCHS = 12": "EPOCHS = 1", "RUNS = 10": "RUNS = 1"},
    "theory/predictor": {
        "for _ in range(5)": "for _ in range(2)",
        "for row in range(600)": "for row in range(60)",
        "predict_all(some)], y)": "predict_all(some)], y[:60])",
        "for seed in range(6)": "for seed in range(2)",
        "budget=70": "budget=30",
        "[:70]": "[:30]",
        "range(1, 71)": "range(1, 31)",
    },
    "tutorials/own_space": {
        "hidden_dims=(64, 64)": "hidden_dims=(16,)",
        "epochs=12": "epochs=1",
        "queries=6": "queries=2",
    },
    "tutorials/search": {
        "runs=20": "runs=2",
        "queries=60": "queries=20",
        "np.arange(1, 61)": "np.arange(1, 21)",
        "queries=4": "queries=2",
    },
}
"""Assignments of a notebook and what stands in for them, so that `make test` stays fast."""
SLOW = {
    "theory/arch2vec",
    "theory/jacobian",
    "theory/predictor",
    "theory/retrieval",
    "tutorials/own_space",
    "tutorials/search",
}
"""Notebooks that `make test` leaves out even so."""
LARGEST_BYTES = 1_200_000
UNCLEAN = re.compile(
    r"Traceback \(most recent call last\)|\b\w*(?:Error|Warning): |^WARNING|^[IWEF]\d{4} |IProgress"
    r"|(?<![\w.:/<>~-])/(?:[\w.-]+/)+[\w.-]+",  # an absolute path
    re.MULTILINE,
)

each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cell):
    """Number of the pictures among a cell's outputs."""
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def texts(cell):
    """Texts among a cell's outputs, and its source."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def run_cells(sources, folder):
    """Runs cells in this process as a kernel would."""
    os.chdir(folder)
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    for source in sources:
        shell.run_cell(source).raise_error()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NOTEBOOKS]
)
def test_cells_run(name, tmp_path):
    sources = [cell.source for cell in code_cells(nbformat.read(NOTEBOOKS[name], as_version=4))]
    for large, small in SMALLER.get(name, {}).items():
        assert any(large in source for source in sources), f"{large} is in {name} no more"
        sources = [source.replace(large, small) for source in sources]
    done = fork.call(run_cells, sources, str(tmp_path))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@each_notebook
def test_a_kernel_gives_the_stored_pictures(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = nbformat.read(NOTEBOOKS[name], as_version=4)
    fresh = nbformat.read(NOTEBOOKS[name], as_version=4)
    nbclient.NotebookClient(fresh, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert list(map(pictures, code_cells(fresh))) == list(map(pictures, code_cells(stored)))


@each_notebook
def test_stored_outputs_are_clean(name):
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    nbformat.validate(notebook)
    assert NOTEBOOKS[name].stat().st_size < LARGEST_BYTES
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "not run from top to bottom"
    for cell in cells:
        assert all(output.output_type != "error" for output in cell.outputs), cell.id
        for text in texts(cell):
            unclean = UNCLEAN.search(text)
            assert unclean is None, f"cell {cell.id}: {unclean[0]!r}"
        if "plt.show()" in cell.source:
            assert pictures(cell), f"cell {cell.id} has lost its picture"


UNCLEAN_TEXTS = ("/home/me/x.npz", "'/tmp/a/b'", "ValueError: no", "UserWarning: x", "W0000 00:00", "a\nWARNING: x")
CLEAN_TEXTS = ("https://arxiv.org/abs/2006", "a/b/c.py", "mean error: 3", "</td></tr>", "../a/b", "1 / 2", "~/a/b")


def test_what_counts_as_unclean():
    assert all(UNCLEAN.search(text) for text in UNCLEAN_TEXTS)
    assert not any(UNCLEAN.search(text) for text in CLEAN_TEXTS)


def test_every_shortened_notebook_exists():
    assert set(SMALLER) | SLOW <= set(NOTEBOOKS)

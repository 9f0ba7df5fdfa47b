"""Rules of the house that a program can check."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = [*ROOT.glob("tfnas/**/*.py"), *ROOT.glob("trainers/*.py")]


# Official archives that exist as pickles only; opened on request, by an unpickler that builds nothing but values.
CONVERTER = ROOT / "tfnas" / "benchmarks" / "nats_bench.py"


def test_no_pickle():
    """No module but the named converter imports a pickling package or lets NumPy read pickles."""
    assert len(SOURCES) > 30
    assert CONVERTER in SOURCES
    for path in SOURCES:
        if path == CONVERTER:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"pickle", "dill", "cloudpickle", "shelve"}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert "_ALLOW_PICKLE" in ast.unparse(node.value) or node.value.value is False, path


def test_spaces_do_not_import_tensorflow():
    program = "import sys, tfnas.spaces; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_import_after_tensorflow_says_what_to_do():
    program = "import os; os.environ.pop('TF_USE_LEGACY_KERAS', None); import tensorflow; import tfnas"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode != 0
    assert "import tfnas before tensorflow" in done.stderr

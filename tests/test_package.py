"""Rules of the house that a program can check."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_spaces_do_not_import_tensorflow():
    program = "import sys, tfnas.spaces; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_one_door_to_gnn():
    """Users' `tf.keras` is their choice: tfnas imports `tf_keras` or `keras` by name, and TF-GNN through one module."""
    tops = ("tfnas", "trainers", "reproductions", "perf", "examples")
    door = ROOT / "tfnas" / "graphs" / "gnn.py"
    for path in {path for top in tops for path in (ROOT / top).rglob("*.py")} - {door}:
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.partition(".")[0] == "tensorflow_gnn" for name in imported), path
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node).startswith("tf.keras")), path


def names_that_hide_imports(source: str) -> list[str]:
    """Names of imports that an argument or a variable of a function hides."""
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {alias.asname or alias.name.partition(".")[0] for node in imports for alias in node.names}
    nodes = [
        node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    ]
    arguments = [node.arg for node in nodes if isinstance(node, ast.arg)]
    variables = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return sorted(imported & {*arguments, *variables})


def test_no_name_hides_an_import():
    """A module that an argument hides is missed only when the line runs."""
    assert names_that_hide_imports("import images\ndef f(images):\n    return images.read()") == ["images"]
    assert names_that_hide_imports("from a import b as c\ndef f(b):\n    c = b") == ["c"]
    for top in ("tfnas", "trainers", "reproductions"):
        for path in (ROOT / top).rglob("*.py"):
            assert not names_that_hide_imports(path.read_text()), path

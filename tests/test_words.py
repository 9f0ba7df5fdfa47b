"""Words that a program can check: entries of docstrings are noun phrases, names are nouns."""

import ast
import pathlib
import re

from tests.fork import ROOT

SECTIONS = ("Args:", "Attributes:")
# An entry that leans on another entry or on the sentence before: "of these.", "likewise.", "where.", "see there."
LEANING_START = re.compile(
    r"(of|for|from|in|with|by|at|to|as|its|their|whose|which|where|what|who|how|when|likewise|whether it|so many|"
    r"those|others?|these|one|ones|see|same|that|it|at most so|the same)\b",
    re.IGNORECASE,
)
LEANING = re.compile(r"\b(likewise|see there|so many|so much|as above|of (these|those|them)\b)", re.IGNORECASE)
NAMES = {"found", "part", "parts", "place", "places", "own", "kept", "mine", "wanted", "others", "ones"}


def python_files() -> list[pathlib.Path]:
    """Files whose words are checked."""
    return [path for top in ("tfnas", "trainers", "reproductions") for path in sorted((ROOT / top).rglob("*.py"))]


def entries(docstring: str) -> list[tuple[str, str]]:
    """Names and texts of the arguments and attributes that a docstring lists."""
    listed: list[tuple[str, str]] = []
    section = None
    indent = 0
    for line in docstring.splitlines():
        text = line.strip()
        if re.fullmatch(r"[A-Z]\w*:", text):
            section, indent = text, 0
        elif section in SECTIONS and text:
            depth = len(line) - len(line.lstrip())
            indent = indent or depth
            match = re.match(r"\*{0,2}(\w+): (.*)", text)
            if depth == indent and match:
                listed.append((match[1], match[2]))
            elif listed:
                listed[-1] = (listed[-1][0], f"{listed[-1][1]} {text}")
    return listed


def docstrings(path: pathlib.Path) -> list[tuple[str, str]]:
    """Names and docstrings of a file's functions, classes and the file itself."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "name", path.stem), ast.get_docstring(node) or "") for node in nodes]


def test_entries_are_noun_phrases():
    leaning = [
        f"{path.relative_to(ROOT)} {name}: {entry}: {text}"
        for path in python_files()
        for name, docstring in docstrings(path)
        for entry, text in entries(docstring)
        if LEANING_START.match(text) or LEANING.search(text)
    ]
    assert not leaning, "\n".join(leaning)


def test_names_are_nouns():
    """Arguments and variables, not attributes of other libraries."""
    vague = sorted(
        {
            f"{path.relative_to(ROOT)}: {name}"
            for path in python_files()
            for node in ast.walk(ast.parse(path.read_text()))
            for name in [node.arg if isinstance(node, ast.arg) else getattr(node, "id", None)]
            if name in NAMES
        }
    )
    assert not vague, "\n".join(vague)


def test_the_parser_sees_every_entry():
    assert entries(
        "X.\n\n    Args:\n      a: sizes\n        in nodes.\n      **b: facts.\n\n    Returns:\n      c: no."
    ) == [
        ("a", "sizes in nodes."),
        ("b", "facts."),
    ]
    assert LEANING_START.match("of these.")
    assert LEANING.search("labels `[N]`; likewise.")

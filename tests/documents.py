"""What the documents say to a program: pages, code, commands; and the files that their user has."""

import os
import pathlib
import re
import shutil

import numpy as np

from tests.fork import ROOT

TABLES = ROOT / "docs" / "results" / "tables"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if TABLES not in path.parents),
]


def name_of(page: pathlib.Path) -> str:
    """Path of a page in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: pathlib.Path, kind: str) -> list[str]:
    """Fenced blocks of a kind, such as "python"."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def code_lines(page: pathlib.Path) -> list[str]:
    """Lines of fenced and indented blocks, and the code inside sentences; a continued line is one line."""
    text = page.read_text().replace("\\\n", " ")
    found = re.findall(r"^```[^\n]*\n(.*?)^```$|`([^`]+)`|^ {4}(\S[^\n]*)$", text, re.MULTILINE | re.DOTALL)
    return [
        line
        for fenced, inside, indented in found
        for line in (*fenced.splitlines(), inside.replace("\n", " "), indented)
    ]


def commands(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Programs that a page starts, by the names that `fork.run` takes, each with its flags."""
    program = re.compile(r"(?:^|\s)(?:tfnas |python -m trainers\.|(?=reproductions [a-z]))([a-z]\w*(?: [a-z]\w+)?)(.*)")
    named = [found.groups() for line in code_lines(page) if (found := program.search(line))]
    named = [("inspect_model" if name == "inspect" else name, flags.partition("#")[0]) for name, flags in named]
    return [(name, re.findall(r"(?<!\S)--[^\s)]+", flags)) for name, flags in named]


def run_block(text: str, folder: pathlib.Path) -> None:
    """Runs a Python block in a folder."""
    os.chdir(folder)
    exec(compile(text, "block", "exec"), {"__name__": "__main__"})


def write_files_of_a_user(folder: pathlib.Path) -> None:
    """What the documents' user has beside the repository's folders: models, images, a function."""
    import keras

    (folder / "saved_models").symlink_to(ROOT / "saved_models")
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(folder / "my_model.keras")
    (folder / "my_models").mkdir()
    shutil.copy(folder / "my_model.keras", folder / "my_models")
    labels = np.arange(200) % 10
    images = np.random.default_rng(0).random((200, 16, 16, 3)).astype(np.float32)
    np.savez(folder / "images.npz", images=images, labels=labels)
    (folder / "my_module.py").write_text("def accuracy(architecture):\n    return len(str(architecture)) % 7 / 10\n")

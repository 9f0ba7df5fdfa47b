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


def commands(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Programs that a page starts, by the names that `fork.run` takes, each with its flags."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"python -m (?:trainers\.(\w+)|(reproductions \w+)|(reproductions\.\w+))([^\n`#]*)", text)
    named = [(trainer or paper, flags) for trainer, paper, module, flags in lines if not module]
    named += re.findall(r"(?:^|`)tfnas (?!COMMAND)(\w+)([^\n`#]*)", text, re.MULTILINE)
    named = [("inspect_model" if name == "inspect" else name, flags) for name, flags in named]
    named += re.findall(r"`(reproductions \w+)( --[^`]*)`", text)
    return [(name, re.findall(r"(?<!\S)--[^\s)]+", flags)) for name, flags in named if "PAPER" not in name]


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

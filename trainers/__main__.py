"""Neural-architecture embeddings: encode, search, predict and retrieve architectures.

  tfnas COMMAND --flag=value ...
  tfnas COMMAND --help

A flag that takes a model takes the name of a shipped model or a folder.
"""

import ast
import difflib
import importlib.metadata
import importlib.util
import pathlib
import runpy
import sys

GROUPS = {
    "What the shipped models do": ("embed", "search", "predict", "retrieve", "inspect", "serve"),
    "Encoders": ("pretrain", "export", "embed_corpus", "extract_jacobians", "build_corpus"),
    "Predictors, proxies and indices": ("train_predictor", "score_proxies", "build_index"),
    "Benchmarks": ("convert_benchmark", "check_table", "build_digits201", "train_darts"),
    "The whole chain": ("demo",),
}
"""Commands by what they are for; each is a module of this package."""
_MODULES = {"inspect": "inspect_model"}
"""Modules that do not bear the name of their command, here since Python has a module `inspect`."""


def module_of(command: str) -> str:
    """Name of the module of a command."""
    return f"{__package__}.{_MODULES.get(command, command)}"


def summary(command: str) -> str:
    """First sentence of a command's docstring, which is read and not imported."""
    file = pathlib.Path(__file__).with_name(f"{_MODULES.get(command, command)}.py")
    docstring = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    return docstring.partition("\n")[0]


def listing() -> str:
    """Commands by group, a line for each."""
    lines = [__doc__ or ""]
    for title, commands in GROUPS.items():
        lines += [f"{title}:", *(f"  {command:18s} {summary(command)}" for command in commands), ""]
    return "\n".join([*lines, "`python -m trainers.COMMAND` is the same command, with the same flags."])


def main() -> None:
    """Runs the command that the first word of the command line names."""
    command, *arguments = sys.argv[1:] or ["--help"]
    commands = [command for group in GROUPS.values() for command in group]
    if command in ("--help", "-h", "help"):
        print(listing())
    elif command == "--version":
        print(importlib.metadata.version("tfnas"))
    elif command in commands:
        sys.argv = [f"tfnas {command}", *arguments]
        try:
            runpy.run_module(module_of(command), run_name="__main__")
        except KeyboardInterrupt:  # while the command's own module was imported
            sys.exit("interrupted")
    else:
        nearest = difflib.get_close_matches(command, commands, 1, 0)
        sys.exit(f"error: unknown command {command!r}, did you mean {nearest[0]}? tfnas --help lists all")


if __name__ == "__main__":
    main()

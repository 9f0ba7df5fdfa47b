"""Flags made from configuration classes, and the frame that every binary runs in."""

import dataclasses
import errno
import os
import pathlib
import re
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags, logging

from tfnas import artefacts
from tfnas.errors import TfnasError


def define_from_config(config: type) -> None:
    """Defines a flag for every field of a frozen dataclass; its help is the field's text under `Attributes:`.

    Flags have no default of their own: `overrides` returns those that were set.
    """
    texts = _attribute_texts(config.__doc__ or "")
    types = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        text = f"{texts[field.name]} (field of {config.__name__}; the preset decides by default)"
        if types[field.name] is bool:
            flags.DEFINE_boolean(field.name, None, text)
        elif types[field.name] is int:
            flags.DEFINE_integer(field.name, None, text)
        elif types[field.name] is float:
            flags.DEFINE_float(field.name, None, text)
        elif types[field.name] is str:
            flags.DEFINE_string(field.name, None, text)
        else:
            flags.DEFINE_list(field.name, None, text)


def overrides(config: type) -> dict[str, Any]:
    """Values of the flags that `define_from_config` made and the user set."""
    values = {field.name: getattr(flags.FLAGS, field.name) for field in dataclasses.fields(config)}
    return {
        name: tuple(_integer(name, item) for item in value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise TfnasError(f"--{name}: {text!r} is not a whole number") from error


def _attribute_texts(docstring: str) -> dict[str, str]:
    section = docstring.split("Attributes:")[1]
    entries = re.findall(r"^ {6}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def define_output() -> None:
    """Defines `--output_dir`, `--resume` and `--overwrite`."""
    flags.DEFINE_string("output_dir", None, "Folder for results; must be empty or new.", required=True)
    flags.DEFINE_boolean("resume", False, "Continue the run that --output_dir holds.")
    flags.DEFINE_boolean("overwrite", False, "Delete the run that --output_dir holds.")


def output_folder(settings: Mapping[str, Any]) -> pathlib.Path:
    """The folder of `--output_dir`, made or taken over as `--resume` and `--overwrite` say.

    Args:
      settings: what decides the results, `program` among it; see `artefacts.prepare_output_folder`.

    Raises:
      ConfigurationError: see there.
    """
    return artefacts.prepare_output_folder(
        flags.FLAGS.output_dir, settings, resume=flags.FLAGS.resume, overwrite=flags.FLAGS.overwrite
    )


def run(main: Callable[[], Mapping[str, Any] | None]) -> None:
    """Parses flags and calls `main`; a mistake of the user ends in one line and exit code 1."""

    def guarded(arguments: list[str]) -> None:
        if len(arguments) > 1:
            raise app.UsageError(f"unexpected argument {arguments[1]!r}; flags start with --")
        logging.set_verbosity(logging.WARNING)
        try:
            main()
        except TfnasError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {where}{error.strerror or error}")
        except Exception as error:
            if not _tells_of_the_disk(error):
                raise
            sys.exit(f"error: {' '.join(str(error).split())}")
        except KeyboardInterrupt:
            sys.exit("interrupted; run the same command with --resume to continue")

    app.run(guarded)


def _tells_of_the_disk(error: Exception) -> bool:
    """Whether TensorFlow could not read or write a file; it has error classes of its own for that."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return False
    return any(os.strerror(number) in str(error) for number in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.EROFS))

"""Flags made from configuration classes, and the frame that every binary runs in."""

import dataclasses
import errno
import inspect
import io
import os
import pathlib
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging

from tfnas import artefacts, runtime
from tfnas.errors import ConfigurationError, TfnasError

flags.disclaim_key_flags()  # the flags that are defined here belong to the binary, whose --help shows them

_BEAM_WARNING = "apitools not found"  # Beam's, about Google's cloud, in every process that imports Beam
_HELP = {"--help", "-help", "--helpshort", "-h"}


class _PathParser(flags.ArgumentParser[str]):
    """Takes any text; `~` at its start is the user's home."""

    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)


class _PathListParser(flags.ListParser):
    """Takes a list separated by commas; `~` at the start of an item is the user's home."""

    def parse(self, argument: str | list[str]) -> list[str]:
        return [os.path.expanduser(item) for item in super().parse(argument)]


def define_path(name: str, default: str | None, text: str, *, required: bool = False) -> flags.FlagHolder[str | None]:
    """Defines a flag for a file or a folder, in which `~` is the user's home.

    Args:
      name: name of the flag.
      default: value of a flag that is not set.
      text: help of the flag.
      required: True for a flag that must be set.
    """
    return flags.DEFINE(_PathParser(), name, default, text, serializer=flags.ArgumentSerializer(), required=required)


def define_paths(name: str, default: list[str] | None, text: str) -> flags.FlagHolder[list[str]]:
    """Defines a flag for files or folders, separated by commas; its arguments are those of `define_path`."""
    return flags.DEFINE(_PathListParser(), name, default, text, serializer=flags.CsvListSerializer(","))


def define_repeated_path(name: str, text: str) -> flags.FlagHolder[list[str]]:
    """Defines a required flag for a file or a folder that may be repeated, in which `~` is the user's home."""
    return flags.DEFINE_multi(_PathParser(), flags.ArgumentSerializer(), name, None, text, required=True)


def define_from_config(config: type) -> None:
    """Defines a flag for every field of a frozen dataclass; its help is the field's text under `Attributes:`.

    The flags have no defaults: `overrides` returns the flags that the user set.

    Args:
      config: dataclass whose docstring has an entry for every field.
    """
    texts, types = _attribute_texts(config.__doc__ or ""), _field_types(config)
    for name, kind in types.items():
        _define(name, kind, f"{texts[name]} (field of {config.__name__}; the preset decides by default)")


def define_from_rows(rows: Mapping[str, type]) -> None:
    """Defines a flag for every field that any of several frozen dataclasses has; help says which rows have the field.

    Flags have no default of their own: `overrides` returns those that were set.

    Args:
      rows: configuration class of each row of a registry, by the row's name.

    Raises:
      TypeError: two classes give one field different types.
    """
    texts: dict[str, dict[str, list[str]]] = {}
    types: dict[str, Any] = {}
    for row, config in rows.items():
        for name, kind in _field_types(config).items():
            if types.setdefault(name, kind) != kind:
                raise TypeError(f"field {name} is {types[name]} and, in {config.__name__}, {kind}")
            text = _attribute_texts(config.__doc__ or "")[name] + _default_text(config, name)
            texts.setdefault(name, {}).setdefault(text, []).append(row)
    for name, kind in types.items():
        _define(name, kind, " ".join(f"For {', '.join(names)}: {text}" for text, names in texts[name].items()))


def _field_types(config: type) -> dict[str, Any]:
    """Types of the fields of a dataclass; `int | None` counts as `int`."""
    hints = typing.get_type_hints(config)
    types = {}
    for field in dataclasses.fields(config):
        alternatives = [kind for kind in typing.get_args(hints[field.name]) if kind is not type(None)]
        optional = type(None) in typing.get_args(hints[field.name])
        types[field.name] = alternatives[0] if optional else hints[field.name]
    return types


def _default_text(config: type, name: str) -> str:
    """What the help says of a field's default."""
    (default,) = [field.default for field in dataclasses.fields(config) if field.name == name]
    if default is dataclasses.MISSING:
        return " Required."
    return "" if default is None else f" Default: {default}."


def _define(name: str, kind: Any, text: str) -> None:
    """Defines a flag without default for values of a type; tuples are lists, and any text may be a path."""
    define: dict[Any, Callable[..., Any]] = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: define_path,
    }
    define.get(kind, define_paths)(name, None, text)


def overrides(*configs: type) -> dict[str, Any]:
    """Values of the flags that were made from fields of some dataclasses, of those flags that the user set."""
    types = {name: kind for config in configs for name, kind in _field_types(config).items()}
    values = {name: getattr(flags.FLAGS, name) for name in types}
    return {
        name: _items(name, types[name], value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def _items(name: str, kind: Any, texts: list[str]) -> tuple[Any, ...]:
    """A list's items as the tuple that a field of some type holds."""
    return tuple(_integer(name, text) for text in texts) if int in typing.get_args(kind) else tuple(texts)


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise TfnasError(f"--{name}: {text!r} is not a whole number") from error


def _attribute_texts(docstring: str) -> dict[str, str]:
    section = inspect.cleandoc(docstring).partition("Attributes:")[2]  # Python 3.13 takes the indentation away
    entries = re.findall(r"^ {2}(\w+): (.*(?:\n {4}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def define_import_options() -> None:
    """Defines `--input_shape`, `--dim`, `--signature` and `--strict`, for binaries that read models."""
    flags.DEFINE_multi_string(
        "input_shape",
        None,
        "Shape of an input with the batch first, for a model that leaves the shape open: 1,224,224,3 for a single "
        "input, NAME:1,128 for one of several inputs; repeat the flag for several.",
    )
    flags.DEFINE_multi_string(
        "dim",
        None,
        "Extent of an open dimension that an ONNX file names, such as seq=128; repeat the flag for several.",
    )
    flags.DEFINE_string(
        "signature", None, "Signature of a SavedModel (serving_default by default) or of a .tflite file."
    )
    flags.DEFINE_boolean("strict", False, "Refuse a model of which something is assumed or not understood.")


def import_options() -> dict[str, Any]:
    """The options of `graphs.importers.import_model` that the flags of `define_import_options` set.

    Raises:
      ConfigurationError: an extent that is not a positive whole number, a dimension without extent, an input or a
        dimension that is given twice, or several shapes without the names of their inputs.
    """
    values = flags.FLAGS
    options: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for text in values.input_shape or ():
        name, _, extents = text.rpartition(":")
        _add(
            "input_shape", text, shapes, name, tuple(_extent("input_shape", text, item) for item in extents.split(","))
        )
    if "" in shapes and len(shapes) > 1:
        raise ConfigurationError("--input_shape: several shapes, expected NAME:SHAPE for each")
    if shapes:
        options["input_shape"] = shapes.get("", shapes)
    dims: dict[str, int] = {}
    for text in values.dim or ():
        name, _, extent = text.rpartition("=")
        if not name:
            raise ConfigurationError(f"--dim={text}, expected NAME=EXTENT")
        _add("dim", text, dims, name, _extent("dim", text, extent))
    if dims:
        options["dims"] = dims
    if values.signature:
        options["signature"] = values.signature
    if values.strict:
        options["strict"] = True
    return options


def _add(flag: str, text: str, mapping: dict[str, Any], name: str, value: Any) -> None:
    """Puts a value under a name that has none."""
    if name in mapping:
        raise ConfigurationError(f"--{flag}={text}: {name or 'the input'} is given twice")
    mapping[name] = value


def _extent(flag: str, text: str, extent: str) -> int:
    if not extent.isdecimal() or int(extent) < 1:
        raise ConfigurationError(f"--{flag}={text}, expected positive whole numbers")
    return int(extent)


def define_trust() -> flags.FlagHolder[bool]:
    """Defines `--trust`, for binaries that open SavedModels."""
    return flags.DEFINE_boolean(
        "trust", False, "Open a SavedModel whatever its graph does: a SavedModel is a program, whose maker you trust."
    )


def define_output(*, required: bool = True) -> None:
    """Defines `--output_dir`, `--resume` and `--overwrite`.

    Args:
      required: True for a binary that always writes results.
    """
    define_path("output_dir", None, "Folder for results; must be empty or new.", required=required)
    flags.DEFINE_boolean("resume", False, "Continue the run that --output_dir holds.")
    flags.DEFINE_boolean("overwrite", False, "Delete the run that --output_dir holds.")


def output_folder(settings: Mapping[str, Any], growing: Sequence[str] = ()) -> pathlib.Path:
    """The folder of `--output_dir`, made or taken over as `--resume` and `--overwrite` say.

    Args:
      settings: JSON values that decide the results, such as the name of the `program`.
      growing: names of settings, numbers that may be larger than those of the run to resume.

    Raises:
      ConfigurationError: a folder that holds results and neither flag, both flags, other settings than those of the run
        to resume, a folder that can't be written, or a folder in which another process works.
    """
    return artefacts.prepare_output_folder(
        flags.FLAGS.output_dir,
        settings,
        resume=flags.FLAGS.resume,
        overwrite=flags.FLAGS.overwrite,
        growing=growing,
        lock=True,
    )


def chosen(name: str, choices: Sequence[str], text: str) -> str | None:
    """Defines a required flag with some choices, and returns its value before other flags are defined.

    Args:
      name: name of the flag.
      choices: allowed values.
      text: help of the flag.

    Returns:
      The value; None if the command line asks for help. A missing or wrong value ends the program in one line.
    """
    flags.DEFINE_enum(name, None, choices, text, required=True)
    lookahead = flags.FlagValues()
    flags.DEFINE_enum(name, None, choices, text, flag_values=lookahead)
    try:
        lookahead(sys.argv, known_only=True)
    except flags.Error as error:
        _stop(str(error))
    value = lookahead[name].value
    if value is None and not any(argument.lstrip("-").startswith("h") for argument in sys.argv[1:]):
        _stop(f"--{name} is missing, expected one of {', '.join(choices)}")
    return value


def program() -> str:
    """How the running binary is started, such as `tfnas search` or `python -m trainers.search`."""
    if not sys.argv[0].endswith(".py"):
        return sys.argv[0]
    path = pathlib.Path(sys.argv[0])
    return f"python -m {path.parent.name}.{path.stem}"


def _stop(mistake: str) -> NoReturn:
    """Ends the program, in one line that says how to see the flags."""
    sys.exit(f"error: {' '.join(mistake.split())}; {program()} --help lists the flags")


def _parsed(arguments: list[str]) -> list[str]:
    """The arguments that are no flags; a mistake in a flag ends in one line."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _stop(re.sub(r"^flag (--\w+)=None: Flag \1 must have a value other than None\.$", r"\1 is missing", str(error)))


def _help(main: Callable[[], None]) -> str:
    """Docstring of the module of a binary's `main`, and its flags."""
    listed = flags.FLAGS.main_module_help().partition(":\n")[2]
    return f"{main.__globals__['__doc__']}\nflags:\n{listed}\n\n--helpfull also lists the flags of absl."


def run(main: Callable[[], None], *, runs_user_code: bool = False) -> None:
    """Parses flags and calls `main`; a mistake of the user ends in one line and exit code 1.

    Args:
      main: function of the binary; TfnasError and OSError are mistakes of the user.
      runs_user_code: whether the binary imports modules of the user.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale that lacks a character does not end a run
    if _HELP.intersection(sys.argv[1:]):
        print(_help(main))
        return
    runtime.collect_seldom()
    runtime.prepare_tensorflow(whole_keras=runs_user_code)

    def guarded(arguments: list[str]) -> None:
        if len(arguments) > 1:
            _stop(f"unexpected argument {arguments[1]!r}, expected flags that start with --")
        logging.set_verbosity(logging.WARNING)
        logging.get_absl_handler().addFilter(lambda record: not record.getMessage().startswith(_BEAM_WARNING))
        resumes = "; run the same command with --resume to continue" if "resume" in flags.FLAGS else ""
        try:
            with runtime.ending_when_interrupted(f"interrupted{resumes}"):
                _with_bars_closed(main)
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
            runtime.leave(f"interrupted{resumes}")

    app.run(guarded, flags_parser=_parsed)


def _with_bars_closed(main: Callable[[], None]) -> None:
    """Calls a function; the error that ends the function finds no bar on its line."""
    try:
        main()
    except BaseException:
        runtime.close_bars()
        raise


def _tells_of_the_disk(error: Exception) -> bool:
    """Whether TensorFlow could not read or write a file, which it reports by its own error classes."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return False
    return any(os.strerror(number) in str(error) for number in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.EROFS))

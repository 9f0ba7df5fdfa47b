"""Files that are either wholly there or not there at all, and manifests that tell whether they are intact.

Every artefact is written to a temporary name in its folder, flushed to the disk and renamed. A manifest records each
file's SHA-256 and size, and the facts that are needed to make the artefact again.
"""

import contextlib
import csv
import fcntl
import functools
import hashlib
import importlib.metadata
import io
import json
import os
import pathlib
import platform
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NotRequired, TypedDict

import numpy as np

from tfnas import archives, typed
from tfnas.errors import ConfigurationError, CorruptArtefactError

MANIFEST_NAME = "manifest.json"
RUN_NAME = "run.json"
_VERSIONED_PACKAGES = ("tfnas", "tensorflow", "tf_keras", "tensorflow-gnn", "tensorflow-probability", "numpy")

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # as `tempfile` names what begins with a point

_DIGEST = "entries_sha256"

_LOCKED: set[tuple[int, int]] = set()  # devices and inodes of folders that this process has locked

PathLike = str | os.PathLike[str]


class FileFacts(TypedDict):
    """What a manifest says of a file."""

    sha256: str
    bytes: typed.Natural


class Manifest(TypedDict):
    """Entries of every manifest; a kind of artefact has more. Manifests of older versions lack `entries_sha256`."""

    kind: str
    files: dict[str, FileFacts]
    versions: dict[str, str]
    entries_sha256: NotRequired[str]


def _sync_folder(folder: pathlib.Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_file(path: PathLike) -> Iterator[BinaryIO]:
    """Opens a binary file that appears under `path` only if the block ends without an exception."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(path: PathLike) -> Iterator[pathlib.Path]:
    """Gives an empty folder that takes the name `path`, in place of an older folder, if the block succeeds."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        os.chmod(temporary, 0o755)
        if path.exists():
            retired = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            os.replace(path, retired / path.name)
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def write_text(path: PathLike, text: str) -> None:
    """Writes text in UTF-8, atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: PathLike, value: Any) -> None:
    """Writes `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_json_lines(path: PathLike, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes one JSON object per line, atomically."""
    with atomic_file(path) as file:
        for record in records:
            file.write((json.dumps(record, sort_keys=True, allow_nan=False) + "\n").encode())


def write_csv(path: PathLike, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes records as CSV with a header, atomically; the items of a list stand in one cell, with spaces between them.

    Args:
      path: file.
      records: rows of the table with equal keys, at least a single row.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(
            {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in record.items()}
        )
    write_text(path, text.getvalue())


def read_json(path: PathLike) -> Any:
    """Reads a JSON file.

    Raises:
      CorruptArtefactError: the file is missing or is not JSON.
    """
    try:
        return parse_json(pathlib.Path(path).read_bytes(), str(path))
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error


def parse_json(content: bytes, name: str) -> Any:
    """Parses JSON that came from `name`; raises CorruptArtefactError."""
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError as well
        raise CorruptArtefactError(f"{name}: not JSON ({error})") from error


def write_npz(path: PathLike, **arrays: np.ndarray) -> None:
    """Writes arrays as a compressed `.npz`, atomically and with the same bytes for the same content.

    Raises:
      TypeError: an array has object type, which could only be stored as a pickle.
    """
    with atomic_file(path) as file:
        _write_arrays(file, arrays, compresslevel=1)


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """The content of an `.npz` file, smaller and slower to make than that of `write_npz`."""
    content = io.BytesIO()
    _write_arrays(content, arrays, compresslevel=9)
    return content.getvalue()


def _write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray], compresslevel: int) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=compresslevel) as archive:
        for name in sorted(arrays):
            array = np.asanyarray(arrays[name])
            if array.dtype.hasobject:
                raise TypeError(f"array {name!r} has object type; an artefact holds plain numbers and strings only")
            entry = zipfile.ZipInfo(f"{name}.npy")  # the fixed default date keeps the bytes reproducible
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_npz(path: PathLike) -> dict[str, np.ndarray]:
    """Reads every array of an `.npz` file; see `archives.read_arrays`.

    Raises:
      CorruptArtefactError: the file is missing, truncated, damaged, too large or holds objects.
    """
    try:
        with open(path, "rb") as file:
            return archives.read_arrays(file, path)
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error


def sha256(path: PathLike) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers."""
    numbers = {"python": platform.python_version()}
    for package in _VERSIONED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers[package] = importlib.metadata.version(package)
    return numbers


def write_manifest(folder: PathLike, *, kind: str, **facts: Any) -> dict[str, Any]:
    """Writes `manifest.json` over every other file in `folder`.

    Args:
      folder: folder of the artefact; all files in it are hashed, but for its README.
      kind: kind of the artefact, for example `"arch2vec_encoder"`.
      **facts: record counts, flags, seed and other JSON values that make the artefact reproducible.

    Returns:
      The manifest.
    """
    folder = pathlib.Path(folder)
    files = {
        str(file.relative_to(folder)): {"sha256": sha256(file), "bytes": file.stat().st_size}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in (MANIFEST_NAME, "README.md")
    }
    return _write_sealed(folder / MANIFEST_NAME, {"kind": kind, "files": files, "versions": versions(), **facts})


def _write_sealed(path: pathlib.Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a JSON object with a SHA-256 of its entries, and returns the object as it will be read."""
    sealed = json.loads(json.dumps(entries, allow_nan=False))
    sealed[_DIGEST] = _digest(sealed)
    write_json(path, sealed)
    return sealed


def _read_sealed(path: pathlib.Path, kind: Any) -> dict[str, Any]:
    """Reads a JSON object of a `TypedDict` whose entries are those that were written.

    Raises:
      CorruptArtefactError: no such file, an entry that is missing or of another type, or a changed entry.
    """
    sealed = read_json(path)
    name = path.stem
    reason = typed.misfit(sealed, kind, name)
    if reason is not None:
        raise CorruptArtefactError(f"{path}: not a {name} of tfnas ({reason})")
    if _DIGEST in sealed and sealed[_DIGEST] != _digest(sealed):
        raise CorruptArtefactError(f"{path}: changed; its entries differ from its {_DIGEST}")
    return sealed


def _digest(sealed: Mapping[str, Any]) -> str:
    """SHA-256 of the other entries of a JSON object."""
    entries = {name: value for name, value in sealed.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def manifest_kind(folder: PathLike) -> str:
    """The kind of artefact that a folder's manifest tells, whose files are not checked.

    Raises:
      CorruptArtefactError: no manifest, or no manifest that tfnas wrote.
    """
    return _read_sealed(pathlib.Path(folder) / MANIFEST_NAME, Manifest)["kind"]


def parse_manifest(folder: PathLike, *, kind: str | None = None, facts: Any = None) -> dict[str, Any]:
    """Reads a folder's manifest without the files that it names.

    Args:
      folder: folder of the artefact.
      kind: kind that the artefact must have; None allows every kind.
      facts: `TypedDict` of the entries that the kind has besides those of every manifest; None for none.

    Raises:
      CorruptArtefactError: no manifest, another kind, an entry that is missing or of another type, no files, or a file
        outside the folder; the error names the entry.
    """
    path = pathlib.Path(folder) / MANIFEST_NAME
    manifest = _read_sealed(path, Manifest)
    if kind is not None and manifest["kind"] != kind:
        raise CorruptArtefactError(f"{folder}: expected an artefact of kind {kind!r}, found {manifest['kind']!r}")
    reason = typed.misfit(manifest, facts, "manifest") if facts is not None else None
    if reason is not None:
        raise CorruptArtefactError(f"{path}: {reason}")
    if not manifest["files"]:
        raise CorruptArtefactError(f"{path}: manifest['files'] is empty, expected the files of the artefact")
    for name in manifest["files"]:
        steps = pathlib.PurePosixPath(name).parts
        if not steps or ".." in steps or "/".join(steps) != name or "\0" in name:
            raise CorruptArtefactError(f"{path}: manifest['files'] names {name!r}, expected a file inside the folder")
    return manifest


def read_manifest(
    folder: PathLike, *, kind: str | None = None, facts: Any = None, files: Sequence[str] = ()
) -> dict[str, Any]:
    """Reads a folder's manifest and checks every file that it names.

    Args:
      folder: folder of the artefact.
      kind: kind that the artefact must have; None allows every kind.
      facts: `TypedDict` of the kind's entries; see `parse_manifest`.
      files: files that the manifest must name, because they will be read.

    Raises:
      CorruptArtefactError: see `parse_manifest`; a file that is missing, truncated or changed.
    """
    manifest = parse_manifest(folder, kind=kind, facts=facts)
    for name in files:
        if name not in manifest["files"]:
            raise CorruptArtefactError(f"{pathlib.Path(folder) / MANIFEST_NAME}: manifest['files'] lacks {name!r}")
    for name, entry in manifest["files"].items():
        check_file(pathlib.Path(folder) / name, entry)
    return manifest


def check_file(file: pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Raises CorruptArtefactError unless a file is what its manifest's entry says."""
    if not file.is_file():
        raise CorruptArtefactError(f"{file}: named in the manifest but missing")
    if file.stat().st_size != facts["bytes"]:
        raise CorruptArtefactError(f"{file}: {file.stat().st_size} bytes, the manifest says {facts['bytes']}")
    if sha256(file) != facts["sha256"]:
        raise CorruptArtefactError(f"{file}: content differs from the manifest's SHA-256")


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """A SHA-256 over an artefact's files, by which another artefact names its origin.

    Files in `assets.extra` are for servers and change no result: they do not count.
    """
    files = {name: facts for name, facts in manifest["files"].items() if not name.startswith("assets.extra/")}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def prepare_output_folder(
    path: PathLike,
    settings: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    growing: Sequence[str] = (),
    lock: bool = False,
) -> pathlib.Path:
    """Makes an output folder ready, so that no earlier result is lost unasked.

    Args:
      path: output folder.
      settings: JSON values that decide the run's result, which `run.json` of the folder keeps; a run can only be
        resumed with the settings that it was started with.
      resume: True to continue the run that the folder holds, without files that a killed run left half written.
      overwrite: True to delete the run that the folder holds, provided that tfnas made it.
      growing: names of settings, numbers that may be larger than those of the run to resume.
      lock: True to keep other processes that ask for the lock out of the folder until this process ends.

    Raises:
      ConfigurationError: the folder is not empty and neither `resume` nor `overwrite` was given, both were, the
        settings changed, the folder can't be written, or another process has its lock.
    """
    folder = pathlib.Path(path)
    if resume and overwrite:
        raise ConfigurationError("--resume and --overwrite exclude each other")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"--output_dir={folder} is a file, expected a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"--output_dir={folder} can't be written: {error.strerror}") from error
    if lock:
        _lock(folder)
    if any(folder.iterdir()):
        if overwrite:
            if not (folder / RUN_NAME).is_file():
                raise ConfigurationError(
                    f"--output_dir={folder} has no {RUN_NAME}, so tfnas did not make it; --overwrite won't delete it"
                )
            _empty(folder)
        elif not resume:
            raise ConfigurationError(f"--output_dir={folder} is not empty; pass --resume or --overwrite")
    run = {"settings": json.loads(json.dumps(settings)), "versions": versions()}
    if resume and (folder / RUN_NAME).is_file():
        before = read_run(folder)
        _check_same_settings(folder, before["settings"], run["settings"], growing)
        _remove_torn(folder)
        run = {**before, "settings": run["settings"]}
    _write_sealed(folder / RUN_NAME, run)
    return folder


def _lock(folder: pathlib.Path) -> None:
    """Locks a folder for this process; the kernel frees the folder when the process dies, however it dies.

    A child that is forked must not hold the lock of a parent that was killed.
    """
    facts = os.stat(folder)
    if (facts.st_dev, facts.st_ino) in _LOCKED:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigurationError(f"--output_dir={folder}: another process works in this folder") from error
    except OSError:  # a file system without locks
        os.close(descriptor)
        return
    _LOCKED.add((facts.st_dev, facts.st_ino))
    os.register_at_fork(after_in_child=functools.partial(os.close, descriptor))


def _empty(folder: pathlib.Path) -> None:
    """Deletes what is in a folder, which keeps its lock."""
    # The record of the run, by which the folder may be emptied, goes last.
    for path in sorted(folder.iterdir(), key=lambda path: path.name == RUN_NAME):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


class Run(TypedDict):
    """What `run.json` says of a run."""

    settings: dict[str, Any]
    versions: NotRequired[dict[str, str]]
    entries_sha256: NotRequired[str]


def read_run(folder: PathLike) -> dict[str, Any]:
    """The record `run.json` of an output folder.

    Raises:
      CorruptArtefactError: no such file, or an entry that is missing, changed or of another type.
    """
    return _read_sealed(pathlib.Path(folder) / RUN_NAME, Run)


def _remove_torn(folder: pathlib.Path) -> None:
    """Deletes temporary files and folders of `atomic_file` and `atomic_folder` that a killed run left."""
    for path in [path for path in folder.rglob(".*") if _TEMPORARY.fullmatch(path.name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_same_settings(
    folder: pathlib.Path, before: Mapping[str, Any], now: Mapping[str, Any], growing: Sequence[str]
) -> None:
    for name in sorted(before.keys() | now.keys()):
        grown = name in growing and isinstance(before.get(name), int | float) and now[name] > before[name]
        if before.get(name) != now.get(name) and not grown:
            raise ConfigurationError(
                f"--resume: {folder} was started with {name}={before.get(name)!r}, not {now.get(name)!r}"
            )

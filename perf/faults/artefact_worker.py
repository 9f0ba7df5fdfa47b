"""Damages artefacts and reads them, in a process that may die of it: `python -m perf.faults.artefact_worker`.

A line of JSON for every try goes to the standard output, and a line with the try's number before it.
"""

import argparse
import hashlib
import json
import pathlib
import random
import resource
import tempfile
import time
from typing import Any

import numpy as np

from perf.faults.artefact_kinds import ARTEFACTS
from tfnas import artefacts
from tfnas.errors import TfnasError

MODES = ("bit", "cut", "forged bit", "forged cut", "forged entry")
"""A flipped bit or a truncation; the same with a manifest that was made to fit; another value in the manifest."""
_VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**6, 10**30, 1e308, "", "x", "../../x", [], [1, "a"], {}, {"a": -1})


def digest(value: Any) -> str:
    """SHA-256 of nested lists and dictionaries of arrays, numbers and text."""
    if isinstance(value, dict):
        return digest([[key, value[key]] for key in sorted(value)])
    if isinstance(value, (list, tuple)):
        return hashlib.sha256("".join(map(digest, value)).encode()).hexdigest()
    array = np.asarray(value)
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()


def damaged(folder: pathlib.Path, mode: str, rng: random.Random) -> dict[pathlib.Path, bytes]:
    """Damages an artefact in place and returns the former content of the files that changed."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "README.md")
    manifests = [file for file in files if file.name == artefacts.MANIFEST_NAME]
    if mode.startswith("forged"):
        files = [file for file in files if file not in manifests]
    file = manifests[0] if mode == "forged entry" else rng.choice(files)
    before = {path: path.read_bytes() for path in {file, *manifests}}
    content = bytearray(before[file])
    if mode == "forged entry":
        content = bytearray(_with_another_entry(json.loads(content), rng))
    elif mode.endswith("bit"):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        del content[rng.randrange(len(content)) :]
    file.write_bytes(content)
    if mode.startswith("forged"):
        for manifest in manifests:
            entries = json.loads(manifest.read_bytes())
            if mode != "forged entry":
                name = str(file.relative_to(manifest.parent))
                entries["files"][name] = {"sha256": artefacts.sha256(file), "bytes": file.stat().st_size}
            entries.pop("entries_sha256", None)
            manifest.write_text(json.dumps(entries))
    return before


def _with_another_entry(manifest: Any, rng: random.Random) -> bytes:
    """A manifest in which one value, at any depth, is another or is missing."""
    places = []

    def walk(value: Any) -> None:
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(manifest)
    holder, key = rng.choice(places)
    if rng.random() < 0.3:
        del holder[key]
    else:
        holder[key] = rng.choice(_VALUES)
    return json.dumps(manifest).encode()


def outcome(kind: str, mode: str, number: int, folder: pathlib.Path, expected: Any) -> dict[str, Any]:
    """What reading a damaged artefact gives: `refused`, `equal`, `beginning`, `different`, or another error's name."""
    rng = random.Random(f"{kind} {mode} {number}")
    before = damaged(folder, mode, rng)
    changed = sorted(str(path.relative_to(folder)) for path in before if path.read_bytes() != before[path])
    began = time.process_time()
    detail = ""
    try:
        result = _comparison(ARTEFACTS[kind].read(folder), expected, ARTEFACTS[kind].torn and mode.endswith("cut"))
    except TfnasError as error:
        result, detail = ("refused", "") if "\n" not in str(error) else ("two lines", str(error))
    except Exception as error:
        result, detail = type(error).__name__, str(error)[:300]
    for path, content in before.items():
        path.write_bytes(content)
    return {"result": result, "detail": detail, "files": changed, "seconds": time.process_time() - began}


def _comparison(found: Any, expected: Any, torn: bool) -> str:
    if digest(found) == digest(expected):
        return "equal"
    return "beginning" if torn and list(found.items()) == list(expected.items())[: len(found)] else "different"


def main() -> None:
    """Runs tries of one kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind")
    parser.add_argument("tries", help="JSON list of pairs of a mode and a number")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        ARTEFACTS[arguments.kind].make(folder)
        expected = ARTEFACTS[arguments.kind].read(folder)
        first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for place, (mode, number) in enumerate(json.loads(arguments.tries)):
            print(place, flush=True)
            found = outcome(arguments.kind, mode, number, folder, expected)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(json.dumps({**found, "mode": mode, "number": number, "grown_mb": (peak - first) / 1024}), flush=True)


if __name__ == "__main__":
    main()

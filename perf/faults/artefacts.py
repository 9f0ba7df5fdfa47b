"""Damaged and forged artefacts: whatever is wrong with a file, its reader says so in one line or reads the same."""

import collections
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from perf.faults.processes import ROOT
from perf.faults.table import Row, chosen, scaled

_BITS, _CUTS = 300, 100
_LARGEST_MB = 2000
_ANSWERS = ("refused", "equal", "beginning", "different")
_SAVED_MODELS = ("encoder", "predictor")


def damaged_artefacts(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """Flipped bits and truncations, noticed by the manifest or by the file's own checksum."""
    modes = {"bit": scaled(_BITS, share), "cut": scaled(_CUTS, share)}
    for kind in chosen(kinds(), names):
        yield _row(kind, "damaged", modes, differences=False)


def forged_artefacts(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """The same damage behind a manifest that was made to fit.

    Nothing tells a SavedModel's graph from another graph then: differences are counted, and not bounded, where a reader
    runs a SavedModel.
    """
    for kind in chosen(kinds(manifest=True), names):
        runs = kind.endswith(_SAVED_MODELS)
        part = share / 10 if runs else share  # whose readers take seconds
        modes = {"forged bit": scaled(_BITS, part), "forged cut": scaled(_CUTS, part)}
        yield _row(kind, "damaged, manifest made to fit", modes, differences=runs)


def forged_manifests(share: float, names: Collection[str] = ()) -> Iterator[Row]:
    """Manifests of which one value is missing or another value."""
    for kind in chosen(kinds(manifest=True), names):
        part = share / 10 if kind.endswith(_SAVED_MODELS) else share
        modes = {"forged entry": scaled(_BITS, part)}
        yield _row(kind, "another value in the manifest", modes, differences=True)


def kinds(*, manifest: bool = False) -> list[str]:
    """Names of the kinds of artefacts, all or those with a manifest."""
    from perf.faults.artefact_kinds import ARTEFACTS

    return [kind for kind, artefact in ARTEFACTS.items() if artefact.manifest or not manifest]


def _row(kind: str, fault: str, modes: dict[str, int], differences: bool) -> Row:
    """Tries of one kind as a line of the table."""
    tries = [(mode, number) for mode, count in modes.items() for number in range(count)]
    outcomes = list(results(kind, tries))
    counts = collections.Counter(outcome["result"] for outcome in outcomes)
    grown = max((outcome["grown_mb"] for outcome in outcomes), default=0.0)
    wrong = [outcome for outcome in outcomes if outcome["result"] not in _ANSWERS]
    for outcome in wrong:
        print(f"{kind}: {outcome}", file=sys.stderr)
    measured = ", ".join(f"{counts[answer]} {answer}" for answer in _ANSWERS if counts[answer])
    measured += f", {len(wrong)} tracebacks or deaths, {grown:.0f} MB more memory"
    bound = f"0 tracebacks, {'' if differences else '0 different, '}below {_LARGEST_MB} MB"
    held = not wrong and (differences or not counts["different"]) and grown < _LARGEST_MB
    return Row(f"{kind}: {fault}", len(tries), measured, bound, held)


def results(kind: str, tries: Sequence[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Outcomes of tries; a process that died of a try is started again for the rest."""
    rest = list(tries)
    while rest:
        command = [sys.executable, "-m", "perf.faults.artefact_worker", kind, json.dumps(rest)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "{0123456789"]
        outcomes = [line for line in lines if isinstance(line, dict)]
        yield from outcomes
        begun = sum(isinstance(line, int) for line in lines)
        if begun > len(outcomes):
            mode, number = rest[begun - 1]
            detail = f"died with {done.returncode}: {done.stderr[-300:]}"
            yield {"result": "death", "mode": mode, "number": number, "detail": detail, "grown_mb": 0.0}
        elif done.returncode or len(outcomes) < len(rest):
            raise RuntimeError(f"{kind}: {done.stderr[-2000:]}")
        rest = rest[begun:]

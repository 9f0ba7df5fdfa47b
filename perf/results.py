"""Measurements that docs/results/speed.md quotes: `perf/results.json`, written by the scripts of this folder.

  python -m perf.results      prints the tables of all sections, and writes the files that docs/results/speed.md shows

A script measures its programs in turn, round after round in one run, and records what every round gave; the file keeps
the median and the range. A section that is measured again replaces the section's earlier figures.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from tfnas import artefacts
from tfnas.reports import tables

PATH = pathlib.Path(__file__).with_name("results.json")
TABLES = PATH.parents[1] / "docs" / "results" / "tables" / "speed"


@dataclasses.dataclass(frozen=True)
class Figure:
    """What a program reached at a piece of work.

    Attributes:
      work: piece of work, with its sizes.
      program: program that did the work: "tfnas", a preset or a variant, or the rival with its kind of compilation.
      values: a figure of every round.
      unit: unit of the figures, such as "cells per CPU-second".
      goal: figure or ratio that is aimed at, in words; empty for none.
    """

    work: str
    program: str
    values: tuple[float, ...]
    unit: str
    goal: str = ""

    def record(self) -> dict[str, Any]:
        """The figure as JSON: median, smallest and largest value, number of rounds."""
        return {
            "work": self.work,
            "program": self.program,
            "median": statistics.median(self.values),
            "low": min(self.values),
            "high": max(self.values),
            "rounds": len(self.values),
            "unit": self.unit,
            "goal": self.goal,
        }


def record(section: str, figures: Iterable[Figure], settings: Mapping[str, Any] | None = None) -> None:
    """Writes the figures of a section into `perf/results.json` and prints the section's table.

    Args:
      section: name of the script.
      figures: figures; the first of every piece of work is what the others are divided by.
      settings: settings of the run that a reader needs, such as the number of threads.
    """
    sections = read()
    sections[section] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "settings": dict(settings or {}),
        "figures": [figure.record() for figure in figures],
    }
    artefacts.write_json(PATH, dict(sorted(sections.items())))
    print(table(sections[section]))


def read() -> dict[str, Any]:
    """The sections of `perf/results.json` by name; empty without the file."""
    return json.loads(PATH.read_text()) if PATH.exists() else {}


def table(section: Mapping[str, Any]) -> str:
    """The figures of a section as a Markdown table, each beside its ratio to the first figure of the same work."""
    first: dict[str, float] = {}
    rows = []
    for figure in section["figures"]:
        base = first.setdefault(figure["work"], figure["median"])
        spread = f"{_number(figure['low'])} to {_number(figure['high'])}" if figure["rounds"] > 1 else ""
        ratio = f"{figure['median'] / base:.{2 if figure['median'] >= base / 10 else 4}f}" if base else ""
        rows.append(
            [
                figure["work"],
                figure["program"],
                _number(figure["median"]),
                spread,
                figure["unit"],
                ratio,
                figure["goal"],
            ]
        )
    return tables.markdown(["work", "program", "median", "range", "unit", "ratio", "goal"], rows)


def memory(name: str) -> float:
    """Megabytes of this process: "VmRSS" now, or "VmHWM" at most since it started, without its parent's memory."""
    (line,) = [line for line in _lines("/proc/self/status") if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024 / 1e6


def machine() -> dict[str, Any]:
    """Processor and system that figures depend on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def _lines(path: str) -> list[str]:
    try:
        return pathlib.Path(path).read_text().splitlines()
    except OSError:
        return []


def _number(value: float) -> str:
    """A number with three significant digits, and thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def documents() -> dict[str, str]:
    """What docs/results/speed.md shows, by file: a table per script below its command, the machine and the day.

    A script of several sections, "NAME, PART", has a single table of the figures with a goal, whose curves are in the
    script's picture. A section that a longer command measures has the command in its settings.
    """
    sections = read()
    texts = {}
    for script in dict.fromkeys(name.partition(",")[0] for name in sections):
        parts = {name: section for name, section in sections.items() if name.partition(",")[0] == script}
        first = next(iter(parts.values()))
        command = first["settings"].get("command", f"python -m perf.{script}")
        dates = " and ".join(sorted({section["date"] for section in parts.values()}))
        shown = table(first) if script in sections else _goals(parts)
        texts[f"{script}.md"] = f"`{command}`, {first['machine']['processor']}, {dates}:\n\n{shown}\n"
    return texts


def _goals(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures with a goal; those of the same work, which is told before a colon, stand in a row."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for name, section in parts.items():
        for figure in section["figures"]:
            if figure["goal"]:
                work, _, quantity = figure["work"].rpartition(": ")
                row = rows.setdefault((work, name.partition(", ")[2], figure["program"]), {})
                row[f"{quantity} ({figure['goal']})"] = _number(figure["median"])
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [[*key, *(row.get(column, "") for column in columns)] for key, row in rows.items()]
    return tables.markdown(["work", "grows in", "program", *columns], cells)


def main() -> None:
    """Prints the tables and writes them."""
    for name, text in documents().items():
        print(f"## {name}\n{text}")
        artefacts.write_text(TABLES / name, text)


if __name__ == "__main__":
    main()

"""What every experiment leaves behind: a Markdown table, the same as JSON, and lines that compare it with the paper."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.reports import tables


def write(
    output_dir: pathlib.Path,
    name: str,
    *,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    comparison: Sequence[str],
    values: Mapping[str, Any],
) -> str:
    """Writes `<name>.md` and `<name>.json`.

    Args:
      output_dir: an existing folder.
      name: of the experiment.
      title: heading of the Markdown file.
      columns: of the table.
      rows: of the table.
      comparison: sentences with our numbers beside the paper's.
      values: everything unrounded, as JSON values.

    Returns:
      The Markdown text.
    """
    parts = [f"# {title}", tables.markdown(columns, rows), "\n".join(f"- {line}" for line in comparison)]
    text = "\n\n".join(parts) + "\n"
    with artefacts.atomic_file(output_dir / f"{name}.md") as file:
        file.write(text.encode())
    artefacts.write_json(output_dir / f"{name}.json", dict(values))
    return text


def percent(mean: float, deviation: float | None = None) -> str:
    """Mean and, if there is one, deviation of fractions as percentages."""
    return f"{100 * mean:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    for name in names:
        if name not in (*known, "all"):
            raise ConfigurationError(f"unknown experiment {name!r}, expected all or {', '.join(known)}")
    return list(known) if "all" in names else list(names)

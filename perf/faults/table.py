"""The table of faults: its rows, and how the rows are printed."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator

HEADER = "| fault | tries | measured | bound | held |\n|---|---|---|---|---|"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
      fault: fault that was injected, or load that was put on.
      tries: number of injections.
      measured: outcome, with units.
      bound: outcome that is promised; empty for a figure that stands there for comparison.
      held: whether the outcome keeps within the bound.
    """

    fault: str
    tries: int
    measured: str
    bound: str = ""
    held: bool = True

    def __str__(self) -> str:
        verdict = ("yes" if self.held else "NO") if self.bound else ""
        return f"| {self.fault} | {self.tries:,} | {self.measured} | {self.bound} | {verdict} |"


def scaled(tries: int, share: float) -> int:
    """A share of some tries, at least a single try."""
    return max(1, round(tries * share))


def chosen(candidates: Iterable[str], names: Collection[str]) -> list[str]:
    """The candidates among some names; all for no names."""
    return [candidate for candidate in candidates if not names or candidate in names]


def printed(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, each printed as soon as it is there."""
    for row in rows:
        print(row, flush=True)
        yield row

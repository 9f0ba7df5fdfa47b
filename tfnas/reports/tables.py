"""Tables as text that is readable in a terminal and is Markdown at the same time."""

from collections.abc import Mapping, Sequence


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table; the first column is aligned left, the others right."""
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cells[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(columns), rule, *(line(row) for row in rows)])


def search_table(summary: Mapping[str, Mapping[str, float]]) -> str:
    """What `search.loop.summarise` returned: accuracies in percent, mean and deviation over runs."""
    rows = [
        [
            name,
            f"{row['runs']:.0f}",
            f"{row['queries']:.0f}",
            f"{100 * row['validation_mean']:.2f} ± {100 * row['validation_std']:.2f}",
            f"{100 * row['test_mean']:.2f} ± {100 * row['test_std']:.2f}",
            f"{row['seconds_mean']:.1f}",
        ]
        for name, row in summary.items()
    ]
    columns = ["strategy", "runs", "queries per run", "best validation %", "its test %", "training seconds per run"]
    return markdown(columns, rows)

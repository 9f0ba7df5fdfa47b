"""Tables as text that is readable in a terminal and is Markdown at the same time."""

from collections.abc import Sequence

from tabulate import tabulate

_MOST_NOTES = 20


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table; the first column is aligned left, every other column right.

    Args:
      columns: C names of columns.
      rows: rows of C cells; see `printable`. A vertical bar in a cell, which would end its column, gets a backslash.

    Returns:
      The table, without a newline at its end.

    Example:
      >>> print(markdown(["family", "models"], [["resnet", "12"]]))
      | family   |   models |
      |:---------|---------:|
      | resnet   |       12 |
    """
    alignment = ["left", *["right"] * (len(columns) - 1)]
    names, *cells = ([printable(cell).replace("|", "\\|") for cell in row] for row in (columns, *rows))
    return tabulate(cells, headers=names, tablefmt="pipe", colalign=alignment, disable_numparse=True)


def notes(lines: Sequence[str]) -> str:
    """Lines to put below a table, each marked as a note; empty without lines. Of more than 20 the first 20 are shown.

    Example:
      >>> print("a table" + notes(["the batch is 1"]))
      a table
      <BLANKLINE>
      note: the batch is 1
    """
    shown = [printable(line) for line in lines[:_MOST_NOTES]]
    if len(lines) > _MOST_NOTES:
        shown.append(f"{len(lines) - _MOST_NOTES:,} more notes")
    return "\n" + "".join(f"\nnote: {line}" for line in shown) if lines else ""


def printable(text: str) -> str:
    """A line of text, in which characters that would steer a terminal stand as question marks.

    Example:
      >>> printable("relu\\x1b[2J")
      'relu?[2J'
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)

"""Widths of texts in pictures, in a module without Matplotlib's figures, which are slow to import."""

import functools

from matplotlib.textpath import TextPath


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Width of the widest line of a text in inches."""
    lines = [line for line in text.split("\n") if line.strip()]
    return max((float(TextPath((0, 0), line, size=size).get_extents().width) for line in lines), default=0.0) / 72

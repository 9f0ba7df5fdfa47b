"""Widths of texts in pictures, in a module without Matplotlib's figures, which are slow to import."""

import functools

import numpy as np
from matplotlib.path import Path
from matplotlib.textpath import TextPath


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Width of the widest line of a text in inches."""
    lines = [line for line in text.split("\n") if line.strip()]
    return max((_width(TextPath((0, 0), line, size=size)) for line in lines), default=0.0) / 72


def _width(path: Path) -> float:
    """Width of a path; all curves are looked at together, which Matplotlib's `get_extents` takes in turn."""
    if (path.codes == Path.CURVE4).any():
        return float(path.get_extents().width)
    x = path.vertices[:, 0]
    controls = np.flatnonzero(path.codes == Path.CURVE3)[::2]
    starts, middles, ends = (x[controls + step] for step in (-1, 0, 1))
    # A quadratic curve turns back where its derivative is zero.
    bend = starts - 2 * middles + ends
    with np.errstate(divide="ignore", invalid="ignore"):
        turns = (starts - middles) / bend
    inner = (turns > 0) & (turns < 1)
    extrema = starts[inner] - bend[inner] * turns[inner] ** 2
    points = np.concatenate([x[np.isin(path.codes, (Path.MOVETO, Path.LINETO))], ends, extrema])
    return float(np.ptp(points)) if len(points) else 0.0

"""Widths of texts in pictures, without Matplotlib, which is slow to import."""

import functools

_EM = 2048
_ASCII = """
    651 821 942 1716 1303 1946 1597 563 799 799 1024 1716 651 739 651 690 1303 1303 1303 1303 1303 1303 1303 1303
    1303 1303 690 690 1716 1716 1716 1087 2048 1401 1405 1430 1577 1294 1178 1587 1540 604 604 1343 1141 1767 1532
    1612 1235 1612 1423 1300 1251 1499 1401 2025 1403 1251 1403 799 690 799 1716 1024 1024 1255 1300 1126 1300 1260
    721 1300 1298 569 569 1186 569 1995 1298 1253 1300 1300 842 1067 803 1298 1212 1675 1212 1212 1075 1303 690 1303
    1716"""
_WIDTHS = {chr(number): int(width) for number, width in enumerate(_ASCII.split(), start=32)} | {
    "\N{MULTIPLICATION SIGN}": 1716
}
"""Advances of characters of DejaVu Sans, the font of the pictures, of which 2048 are the size of the font."""


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Width of the widest line of a text in inches, without kerning.

    Args:
      text: text; a character of no known width counts as wide as the size of the font.
      size: size of the font in points.
    """
    widths = [sum(_WIDTHS.get(character, _EM) for character in line.strip()) for line in text.split("\n")]
    return max(widths) / _EM * size / 72

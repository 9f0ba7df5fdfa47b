"""Lines of a log: whatever is damaged is told, and only what a killed writer left is dropped."""

import math

import pytest

from tfnas import sealed_lines
from tfnas.errors import CorruptArtefactError
from tfnas.sealed_lines import LineLog

RECORDS = [{"epoch": number, "loss": 1 / number} for number in range(1, 5)]


@pytest.fixture
def path(tmp_path):
    log = LineLog(tmp_path / "log", RECORDS[:2])
    for record in RECORDS[2:]:
        log.add(record)
    return tmp_path / "log"


def test_lines_are_read_again(path):
    assert sealed_lines.read(path) == RECORDS
    content = path.read_bytes()
    LineLog(path, sealed_lines.read(path))
    assert path.read_bytes() == content
    assert sealed_lines.read(path.parent / "none") == []


def test_every_flipped_bit_is_told(path):
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptArtefactError, match=r"damaged|CRLF") as caught:
            sealed_lines.read(path)
        assert "\n" not in str(caught.value)


def test_every_beginning_is_read_to_its_last_whole_line(path):
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert sealed_lines.read(path) == RECORDS[: content[:size].count(b"\n")]


@pytest.mark.parametrize("order", [(1, 2, 3), (0, 2, 3), (1, 0, 2, 3), (0, 1, 1, 2, 3)])
def test_missing_and_misplaced_lines(path, order):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(CorruptArtefactError, match="damaged, or not of this log"):
        sealed_lines.read(path)


def test_line_ends_of_windows(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(CorruptArtefactError, match=r"log, line 1: ends with CRLF, .* expected LF; `sed -i"):
        sealed_lines.read(path)


def test_numbers_that_are_not_finite(tmp_path):
    LineLog(tmp_path / "log", [{"loss": math.inf}]).add({"loss": math.nan})
    assert str(sealed_lines.read(tmp_path / "log")) == "[{'loss': inf}, {'loss': nan}]"
    with pytest.raises(ValueError, match="not JSON compliant"):
        sealed_lines.sealed({"loss": math.nan}, 0)

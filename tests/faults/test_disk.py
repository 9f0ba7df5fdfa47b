"""Disks that are full or can't be written, and caches that are killed: errors name the file, and nothing is lost."""

import contextlib
import errno
import resource

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tfnas import artefacts
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.reports.figures import save_figure
from tfnas.sealed_lines import LineLog
from tfnas.spaces import NASBench101, nasbench101


@contextlib.contextmanager
def files_of(size):
    """No file may be larger, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def figure(path):
    drawn, axes = plt.subplots()
    axes.plot(np.arange(100))
    try:
        save_figure(drawn, path)
    finally:
        plt.close(drawn)


def log(path):
    TrialLog(path, {"space": "x"}).add("a", {"failure": "x" * 5000})


WRITERS = {
    "a.json": lambda path: artefacts.write_json(path, ["x" * 5000]),
    "a.npz": lambda path: artefacts.write_npz(path, a=np.random.default_rng(0).random(1000)),
    "a.jsonl": lambda path: LineLog(path).add({"failure": "x" * 5000}),
    "trials.jsonl": log,
    "a.svg": figure,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_names_the_file(name, tmp_path):
    with files_of(2000), pytest.raises(OSError, match="File too large") as caught:
        WRITERS[name](tmp_path / name)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] in ([], [name])
    if name == "trials.jsonl":  # which is as it was
        assert TrialLog(tmp_path / name, {"space": "x"}).records() == {}


def test_a_figure_stays_as_it_was(tmp_path):
    figure(tmp_path / "a.svg")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with files_of(2000), pytest.raises(OSError, match="File too large"):
        figure(tmp_path / "a.svg")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert before.keys() == {"a.svg", "a.png"}


def test_a_log_with_line_ends_of_windows(tmp_path):
    path = tmp_path / "trials.jsonl"
    TrialLog(path, {"space": "x"}).add("a", {"validation": 0.5})
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(CorruptArtefactError, match=r"trials\.jsonl, line 1: ends with CRLF, .* expected LF; `sed -i"):
        TrialLog(path, {"space": "x"})


@pytest.fixture
def small(monkeypatch):
    """The enumeration of the cells of at most 4 vertices, in one process and in chunks of 20 cells."""
    cells = nasbench101.unique_cells(largest=4)
    monkeypatch.setattr(nasbench101, "SIZE", len(cells))
    monkeypatch.setattr(nasbench101, "_CHUNK", 20)
    monkeypatch.setattr(nasbench101, "unique_cells", lambda: cells)
    with joblib.parallel_config(backend="sequential"):
        yield cells


def test_a_cache_that_can_not_be_written_is_noticed_first(small, tmp_path, monkeypatch):
    monkeypatch.setattr(nasbench101, "unique_cells", lambda: pytest.fail("enumerated"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file: can't be written .* set TFNAS_CACHE_DIR"):
        NASBench101(tmp_path / "file").enumerate()
    monkeypatch.setattr(nasbench101.os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("TFNAS_CACHE_DIR", raising=False)
    with pytest.raises(ConfigurationError, match=r"no home folder .* set TFNAS_CACHE_DIR"):
        NASBench101().enumerate()


def test_a_killed_enumeration_continues(small, tmp_path, monkeypatch):
    expected = NASBench101(tmp_path / "whole").enumerate_with_hashes()
    original, hashed = nasbench101._md5_chunk, []

    def killed(cells):
        hashed.append(len(cells))
        if len(hashed) == 3:
            raise KeyboardInterrupt
        return original(cells)

    monkeypatch.setattr(nasbench101, "_md5_chunk", killed)
    with pytest.raises(KeyboardInterrupt):
        NASBench101(tmp_path / "killed").enumerate()
    parts = tmp_path / "killed" / "nasbench101_cells_v1.parts"
    assert sorted(path.name for path in parts.iterdir()) == ["000000.npz", "000020.npz"]
    found = NASBench101(tmp_path / "killed").enumerate_with_hashes()
    assert sum(hashed) == len(small) + 20
    for one, other in zip((found[0].operations, found[1]), (expected[0].operations, expected[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not parts.exists()


def test_the_cache_is_read_once(small, tmp_path, monkeypatch):
    space = NASBench101(tmp_path)
    first = space.sample(5, seed=0)
    monkeypatch.setattr(artefacts, "read_npz", lambda path: pytest.fail("read again"))
    again = NASBench101(tmp_path).sample(5, seed=0)
    np.testing.assert_array_equal(first.operations, again.operations)
    with pytest.raises(ValueError, match="read-only"):
        space.enumerate().operations[0, 0] = 1

"""The trial log: shared, torn, damaged, full."""

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest

from tests import fork
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.errors import CorruptArtefactError, MismatchError

HEADER = {"space": "nasbench201", "epochs": 3}


def filled(path, count=20):
    log = TrialLog(path, HEADER)
    for number in range(count):
        log.add(f"trial{number}", {"validation": number / 100, "failure": ""})
    return log


def test_a_line_is_json_and_a_reader_sees_what_others_write(tmp_path):
    first, second = filled(tmp_path / "log", 2), TrialLog(tmp_path / "log", HEADER)
    assert second.get("trial1") == {"validation": 0.01, "failure": ""}
    first.add("late", {"validation": 0.5, "failure": "ä\n"})
    assert second.get("late") == {"validation": 0.5, "failure": "ä\n"}
    assert second.get("never") is None
    assert list(second.records()) == ["trial0", "trial1", "late"]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line.get("trial") for line in lines] == [None, "trial0", "trial1", "late"]
    assert {name: lines[0][name] for name in HEADER} == HEADER


def test_the_first_record_of_a_trial_stays(tmp_path):
    first, second = TrialLog(tmp_path / "log", HEADER), TrialLog(tmp_path / "log", HEADER)
    assert first.add("a", {"validation": 0.1}) == {"validation": 0.1}
    assert second.add("a", {"validation": 0.2}) == {"validation": 0.1}
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_another_header(tmp_path):
    filled(tmp_path / "log")
    with pytest.raises(MismatchError, match=r"made with .*'epochs': 3.*, not with .*'epochs': 4"):
        TrialLog(tmp_path / "log", HEADER | {"epochs": 4})


def test_every_torn_tail_is_cut_with_a_warning(tmp_path, caplog):
    path = tmp_path / "log"
    filled(path, 3)
    content = path.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for length in range(ends[0] + 1, len(content)):
        path.write_bytes(content[:length])
        caplog.clear()
        log = TrialLog(path, HEADER)
        whole = sum(end < length for end in ends)
        assert list(log.records()) == [f"trial{number}" for number in range(whole - 1)]
        assert ("cut off" in caplog.text) == (content[length - 1] != ord("\n"))
        log.add("next", {"validation": 0.0})
        assert list(TrialLog(path, HEADER).records())[-1] == "next"


def test_no_bit_flip_is_silent(tmp_path, rng, caplog):
    """1,000 flips: each ends in an error; none is taken for a torn tail."""
    path = tmp_path / "log"
    filled(path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for place, bit in zip(rng.integers(len(content), size=1000), rng.integers(8, size=1000), strict=True):
        damaged = content.copy()
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged.tobytes())
        with pytest.raises((CorruptArtefactError, MismatchError)):
            TrialLog(path, HEADER)
    path.write_bytes(content[:-1].tobytes() + b"\x8a")  # the newline of the last record
    with pytest.raises(CorruptArtefactError, match="line 21: its end is damaged"):
        TrialLog(path, HEADER)


def test_a_missing_line_and_a_swapped_one_are_noticed(tmp_path):
    path = tmp_path / "log"
    filled(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:2] + lines[3:], [*lines[:2], lines[3], lines[2], lines[4]]):
        path.write_bytes(b"".join(changed))
        with pytest.raises(CorruptArtefactError, match="line 3"):
            TrialLog(path, HEADER)


def test_a_log_that_shrinks_under_its_reader(tmp_path):
    log = filled(tmp_path / "log")
    os.truncate(tmp_path / "log", 40)
    with pytest.raises(CorruptArtefactError, match="40 bytes, but"):
        log.get("other")


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path):
    log = filled(tmp_path / "log", 3)
    before = (tmp_path / "log").read_bytes()
    program = multiprocessing.get_context("spawn").Process(target=_add_with_little_space, args=(tmp_path / "log",))
    program.start()
    program.join()
    assert program.exitcode == 0
    assert (tmp_path / "log").read_bytes() == before
    log.add("after", {"validation": 1.0})


def _add_with_little_space(path):
    import resource

    log = TrialLog(path, HEADER)
    size = path.stat().st_size + 30
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    with pytest.raises(OSError, match="too large"):
        log.add("large", {"validation": 0.5})


def _write_many(path, writer, appends, acknowledged, killing):
    """Adds what is missing of this writer's records; says which are safe; stays as long as it may be killed."""
    log = TrialLog(path, HEADER)
    known = log.records()
    for number in range(appends):
        key = f"{writer}/{number}"
        if key not in known:
            log.add(key, {"validation": number / appends, "text": "x" * (number * 37 % 400)})
        acknowledged[writer] = number + 1
        time.sleep(0.02)
    while killing.value:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("writers", "appends", "kills"), [(3, 20, 10), pytest.param(8, 200, 200, marks=pytest.mark.slow)]
)
def test_writers_are_killed(writers, appends, kills, tmp_path):
    """Nothing acknowledged is lost, nothing is there twice, whoever is killed while writing."""
    context = fork.server()
    acknowledged = context.Array("i", writers, lock=False)  # a lock could die with its holder
    killing = context.Value("i", 1, lock=False)
    chooser = random.Random(0)

    def start(writer):
        process = context.Process(target=_write_many, args=(tmp_path / "log", writer, appends, acknowledged, killing))
        process.start()
        return process

    processes = [start(writer) for writer in range(writers)]
    for _ in range(kills):
        time.sleep(chooser.random() * 0.02)
        writer = chooser.randrange(writers)
        processes[writer].kill()
        processes[writer].join()
        assert processes[writer].exitcode == -signal.SIGKILL
        safe = acknowledged[writer]
        known = TrialLog(tmp_path / "log", HEADER).records()
        assert all(f"{writer}/{number}" in known for number in range(safe))
        processes[writer] = start(writer)
    killing.value = 0
    for process in processes:
        process.join()
        assert process.exitcode == 0
    records = TrialLog(tmp_path / "log", HEADER).records()
    assert len(records) == writers * appends
    assert len((tmp_path / "log").read_text().splitlines()) == writers * appends + 1
    assert all(record["validation"] == int(key.split("/")[1]) / appends for key, record in records.items())


@pytest.mark.parametrize(
    "content",
    [
        b'{"my":"precious results"}',
        b'{"my":"precious results"}\n',
        b'{"my":"precious results"}\n{"more": 1}',
        b"epoch,loss\n1,0.5\n",
        b"\x93NUMPY\x01\x00",
        b"\n",
    ],
)
def test_a_file_that_is_no_log_is_never_changed(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(CorruptArtefactError, match=r"results\.json: not a trial log, so nothing is written to it"):
        TrialLog(path, HEADER)
    assert path.read_bytes() == content


def test_a_torn_header_is_not_cut(tmp_path):
    filled(tmp_path / "whole", 1)
    header = (tmp_path / "whole").read_bytes().splitlines()[0]
    for length in (1, 20, len(header)):
        (tmp_path / "torn").write_bytes(header[:length])
        with pytest.raises(CorruptArtefactError):
            TrialLog(tmp_path / "torn", HEADER)
        assert (tmp_path / "torn").read_bytes() == header[:length]


def test_an_empty_file_becomes_a_log(tmp_path):
    (tmp_path / "log").touch()
    filled(tmp_path / "log", 1)
    assert list(TrialLog(tmp_path / "log", HEADER).records()) == ["trial0"]

"""Benchmarks: the documents show the figures that were measured, and the measurements of a device run."""

import os
import sys

import pytest

from perf import results, rivals
from perf.results import Figure

TRAINING = (
    Figure("training", "tfnas", (9.0, 8.0, 10.0), "cells/s", ">= 1.5"),
    Figure("training", "JAX", (6.0,), "cells/s"),
)


def test_a_section_is_recorded_beside_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "PATH", tmp_path / "results.json")
    results.record("first", TRAINING)
    results.record("second", TRAINING[:1])
    results.record("first", TRAINING, {"threads": 1})
    sections = results.read()
    assert list(sections) == ["first", "second"]
    assert sections["first"]["settings"] == {"threads": 1}
    assert [figure["median"] for figure in sections["first"]["figures"]] == [9.0, 6.0]
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert [cell.strip() for cell in lines[1].split("|")[1:-1]] == ["training", "JAX", "6", "", "cells/s", "0.67", ""]


def test_documents_show_the_measured_figures():
    shown = {path.name: path.read_text() for path in results.TABLES.glob("*.md")}
    assert shown == results.documents(), "run python -m perf.results"


def test_programs_run_in_turn_on_one_core():
    program = "import json, os; print('noise'); print(json.dumps({'cores': len(os.sched_getaffinity(0))}))"
    cores = os.sched_getaffinity(0)
    measured = rivals.measure_in_turn({name: [sys.executable, "-c", program] for name in ("tfnas", "JAX")}, 2)
    assert measured == {name: [{"cores": 1}] * 2 for name in ("tfnas", "JAX")}
    assert os.sched_getaffinity(0) == cores


def test_a_device_that_is_not_there_is_named():
    from perf import device

    with pytest.raises(RuntimeError, match="--device=gpu: TensorFlow sees no such device"):
        device.chosen_device("gpu")


@pytest.mark.slow
def test_measurements_of_a_device_run():
    from perf import device

    figures = list(device.figures("cpu", 0.002))
    assert {figure.program for figure in figures} == {"matmul", "training", "embedding", "Jacobians", "proxies"}
    assert all(value > 0 for figure in figures for value in figure.values)
    shares = [figure.values for figure in figures if figure.unit == "of the peak"]
    assert len(shares) == 4

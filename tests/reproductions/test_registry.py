"""Every paper's row: experiments that exist, settings that become flags, mistakes that are told in one line."""

import importlib
import inspect
import json

import pytest

from reproductions.registry import PAPERS
from tests import fork
from tfnas.errors import ConfigurationError


@pytest.mark.parametrize("paper", PAPERS.values(), ids=list(PAPERS))
def test_every_experiment_is_a_module_that_runs(paper):
    for name in paper.experiments:
        run = importlib.import_module(f"reproductions.{paper.folder}.{name}").run
        assert list(inspect.signature(run).parameters) == ["output_dir", "settings"]


def test_choosing():
    paper = PAPERS["arch2vec"]
    assert paper.choose(["all"]) == list(paper.experiments)
    assert paper.choose(["figure2"]) == ["figure2"]
    with pytest.raises(ConfigurationError, match="unknown experiment 'table9', expected all or table1, table2"):
        paper.choose(["table9"])


@pytest.mark.parametrize(
    ("paper", "settings", "message"),
    [
        ("arch2vec", {"runs": 1}, "runs=1, expected at least 2"),
        ("jacobian", {"labels": ()}, "expected numbers of at least 2"),
        ("jacobian", {"cells": 599}, "cells=599, expected at least 600"),
        ("predictor", {"proxy_cells": 59}, "proxy_cells=59, expected at least 60"),
        ("retrieval", {"epochs": (1, 2)}, "expected three positive numbers"),
    ],
)
def test_settings_that_are_too_small(paper, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        PAPERS[paper].settings(**settings)


def test_the_papers_are_listed():
    listing = fork.run("reproductions", "--help").stdout
    assert all(f"  {name}: " in listing for name in PAPERS)
    assert all(", ".join(paper.experiments) in listing for paper in PAPERS.values())
    for arguments, message in (([], "no paper"), (["table1"], "unknown paper 'table1'")):
        done = fork.run("reproductions", *arguments)
        assert done.returncode == 1
        assert f"error: {message}, expected one of arch2vec, jacobian, predictor, retrieval" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_finished_experiments_are_printed_and_not_repeated(tmp_path):
    """A run is resumed with the settings that its run.json holds."""
    arguments = ["retrieval", "--experiment=ablation", f"--output_dir={tmp_path / 'out'}", "--trainings=1"]
    folder = tmp_path / "out"
    folder.mkdir()
    settings = {"program": "reproductions", "paper": "retrieval", "experiment": ["ablation"]}
    settings |= {"seed": 1, "trainings": 1, "lineages": 600, "descendants": 10, "epochs": [40, 20, 1]}
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    (folder / "ablation.md").write_text("# The table\n")
    assert fork.run("reproductions", *arguments, "--resume").stdout == "# The table\n\n"
    other = fork.run("reproductions", *arguments[:-1], "--trainings=2", "--resume")
    assert "was started with trainings=1, not 2" in other.stderr


def test_inputs_are_not_deleted_with_the_results(tmp_path):
    flags = [f"--output_dir={tmp_path}", f"--corpora={tmp_path / 'corpora'}", "--overwrite"]
    done = fork.run("reproductions", "jacobian", *flags)
    assert "error: --corpora lies in --output_dir, which --overwrite would delete" in done.stderr

"""The models with which the package onnx tests backends: every operator of ONNX, alone and in networks."""

import collections
import pathlib
import warnings

import onnx.backend.test
import pytest

from tfnas.errors import TfnasError
from tfnas.graphs.importers import from_file
from tfnas.graphs.importers.onnx_graphs import from_onnx

DATA = pathlib.Path(onnx.backend.test.__file__).parent / "data"
FOLDERS = ("light", "pytorch-converted", "pytorch-operator", "simple")


def refused(models, read):
    """Messages of the models that are refused, and how often."""
    messages = collections.Counter()
    for model in models:
        try:
            graph = read(model)
        except TfnasError as error:
            messages[str(error)] += 1
        else:
            assert graph.multiply_adds.min() >= 0
    assert not [text for text in messages if "\n" in text]
    return messages


@pytest.mark.slow
def test_every_operator_is_read_or_refused_in_one_line():
    """Refused are at most 60 of 1,884 models: sequences, optional values and text alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the expected outputs, which are computed too, overflow
        from onnx.backend.test.case.node import collect_testcases

        models = [case.model for case in collect_testcases(None)]
    assert len(models) > 1500
    messages = refused(models, from_onnx)
    assert messages.total() <= 60, messages.most_common(20)


@pytest.mark.slow
def test_every_network_is_read():
    paths = [path for folder in FOLDERS for path in sorted((DATA / folder).rglob("*.onnx"))]
    assert len(paths) > 100
    messages = refused(paths, from_file)
    assert messages.total() <= 12, messages.most_common(20)

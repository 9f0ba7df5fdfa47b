"""Damaged requests are answered or refused, and nothing else; the slow table asks every model over HTTP."""

import json
import pathlib
import random

import pytest

from perf.faults import bodies
from perf.faults.mutations import mutated
from tests.fork import ROOT
from tfnas.errors import ConfigurationError
from tfnas.serving import Servable

FOLDERS = (ROOT / "saved_models" / "arch2vec_nasbench201", ROOT / "tests" / "golden" / "v1" / "index")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_damaged_requests_are_answered_or_refused(folder: pathlib.Path):
    servable = Servable(folder)
    requests = bodies.requests_of(folder)
    assert requests.keys() <= servable.signatures.keys()
    rng = random.Random(0)
    reasons = []
    for body in requests.values():
        servable.predict(json.dumps(body).encode())
        for _ in range(50):
            try:
                json.loads(servable.predict(mutated(body, rng)))
            except ConfigurationError as error:
                reasons.append(str(error))
    assert 0.5 < len(reasons) / (50 * len(requests)) < 1
    assert not [reason for reason in reasons if "\n" in reason]

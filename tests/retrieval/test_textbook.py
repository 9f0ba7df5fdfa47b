"""Forty networks as readers write them find their families in the shipped index."""

import numpy as np
import pytest

from tests.retrieval.textbook import QUERIES, measured, table
from tfnas import artefacts
from tfnas.retrieval.relatives import Retriever
from tfnas.saved_models import SHIPPED


def test_every_network_has_right_answers():
    """The index holds a right answer, or the test says that it may not."""
    index = artefacts.read_npz(SHIPPED / "architecture_index" / "items.npz")
    pairs = list(zip(index["names"].tolist(), index["families"].tolist(), strict=True))
    assert len(QUERIES) == 40
    for name, query in QUERIES.items():
        right = np.sum([query.right(*pair) for pair in pairs])
        assert right or query.unknown, name
        assert right < len(pairs) / 5


@pytest.mark.slow
def test_right_families_come_first():
    outcomes = measured(Retriever.load())
    assert sum(outcome.right for outcome in outcomes) >= 36, table(outcomes)
    assert all(outcome.unlike or outcome.covered >= 0.2 for outcome in outcomes), table(outcomes)

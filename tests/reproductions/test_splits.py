"""Splits: shares, disjoint roles, the committed file."""

import collections

import numpy as np
import pytest

from reproductions.retrieval import splits
from tfnas import artefacts
from tfnas.encoders.splits import random_split
from tfnas.errors import MismatchError
from tfnas.retrieval.collection import read_collection
from tfnas.saved_models import SHIPPED

FAMILIES = [f"family{row % 12}" for row in range(300)] + ["pair", "pair", "alone"]


def test_roles():
    split = random_split(FAMILIES, 1)
    assert (split.train.astype(int) + split.queries + split.unseen == 1).all()
    families = np.array(FAMILIES)
    held = set(families[split.unseen].tolist())
    assert held.isdisjoint(families[~split.unseen].tolist())
    assert 0.2 < split.unseen.mean() <= 0.3
    asked = collections.Counter(families[split.queries].tolist())
    assert set(asked.values()) == {6, 1}
    assert asked["pair"] == 1
    assert "alone" not in asked
    again = random_split(FAMILIES, 1)
    np.testing.assert_array_equal(split.queries, again.queries)
    assert (random_split(FAMILIES, 2).queries != split.queries).any()


def test_file_gives_the_split_back_in_any_order(tmp_path):
    names = [f"name{row}" for row in range(len(FAMILIES))]
    split = random_split(FAMILIES, 1)
    path = tmp_path / "splits.json"
    keys = np.array([splits.key(name) for name in names])
    roles = {role: keys[getattr(split, role)].tolist() for role in ("train", "queries", "unseen")}
    artefacts.write_json(path, {"mine": roles})
    order = np.random.default_rng(0).permutation(len(names))
    again = splits.read_split("mine", [names[row] for row in order], path)
    np.testing.assert_array_equal(again.unseen, split.unseen[order])
    with pytest.raises(MismatchError, match="no split of 'other'"):
        splits.read_split("other", names, path)
    with pytest.raises(MismatchError, match="does not know 'new'"):
        splits.read_split("mine", ["new"], path)


def test_committed_split_fits_the_shipped_index():
    collection = read_collection(SHIPPED / "architecture_index" / "graphs.npz").distinct()
    known = splits.listed("corpus", collection.names)
    assert known.sum() == 1192
    collection = collection[known]
    split = splits.read_split("corpus", collection.names)
    expected = random_split(collection.families, 0)
    np.testing.assert_array_equal(split.queries, expected.queries)
    np.testing.assert_array_equal(split.unseen, expected.unseen)

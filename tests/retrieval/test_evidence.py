"""Shares, scores, what scores mean, and differences, by hand."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from tests.retrieval.test_relatives import chain, networks
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import pack
from tfnas.retrieval.calibration import Calibration, calibrated, cross_calibrated
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.differences import Traits, differences
from tfnas.retrieval.evidence import Surroundings, score

CHAINS = [chain(*names.split()) for names in (
    "input conv relu conv relu output", "input conv relu conv relu output", "input conv tanh matmul output"
)]  # fmt: skip


def test_shares_by_hand():
    """Six operators; of each, six surroundings. The third chain begins with the same two operators."""
    surroundings = Surroundings(pack(CHAINS))
    upstream = [2, 2, 2]  # input and conv have equal ways upstream of one, two and three edges
    downstream = [2, 1, 1]  # the output has no way downstream, and the input equals within one edge
    assert surroundings.shared(0, np.array([0, 1, 2])).tolist() == pytest.approx(
        [1, 1, sum(upstream + downstream) / 36]
    )
    assert surroundings.shared(2, np.array([0])) == pytest.approx(sum(upstream + downstream) / 30)
    structures = surroundings.structures
    assert structures[0] == structures[1] != structures[2]
    assert surroundings.alone(0, 2, surroundings).tolist() == [False, *[True] * 5]
    assert not surroundings.alone(0, 1, surroundings).any()


def test_pads_are_passed_over():
    padded = chain("input", "pad", "pad", "conv", "relu", "pad", "conv", "relu", "output")
    surroundings = Surroundings(pack([CHAINS[0], padded, chain("input", "pad", "output"), chain("input", "output")]))
    assert surroundings.shared(1, np.array([0, 3])).tolist()[0] == 1
    assert len(np.unique(surroundings.structures)) == 2
    assert not surroundings.alone(1, 0, surroundings).any()


def test_shares_decide_where_no_embedding_is_close():
    shares = np.array([0.1, 0.9])
    assert score(np.array([0.9, 0.8]), shares).argmax() == 0
    assert score(np.array([0.3, 0.2]), shares).argmax() == 1


def test_calibration_is_isotonic_regression():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=80)
    same = rng.uniform(size=80) < scores**2
    calibration = Calibration.fit(scores, same)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, same).predict(scores)
    np.testing.assert_allclose(calibration(scores), expected, atol=1e-12)
    many = rng.uniform(size=50_000)
    groups = Calibration.fit(many, rng.uniform(size=50_000) < many)
    np.testing.assert_allclose(groups(np.array([0.2, 0.5, 0.8])), [0.2, 0.5, 0.8], atol=0.05)
    assert len(groups.scores) <= 100
    equal = Calibration.fit(np.ones(4), np.array([True, False, False, False]))
    assert equal(np.array([1.0])).tolist() == [0.25]


def test_an_index_without_families_has_no_calibration():
    surroundings = Surroundings(pack(CHAINS))
    embeddings = np.eye(3, dtype=np.float32)
    assert calibrated(embeddings, np.array(["a", "a", ""]), surroundings) is None
    assert calibrated(embeddings, np.array(["a", "b", "a"]), surroundings)(np.array([0.5])).tolist() == [1.0]


def test_an_encoder_of_the_index_is_calibrated_on_what_it_has_not_seen():
    collection, sizes = Collection.from_graphs(networks()), []

    def fit(graphs):
        sizes.append(len(graphs))
        return lambda chosen: np.eye(2, dtype=np.float32)[(chosen.family == 0).astype(int)]

    calibration = cross_calibrated(collection.graphs, collection.families, fit)
    assert sizes == [15] * 4
    assert calibration(np.array([0.0, 1.05])).tolist() == [0, 1]  # these embeddings tell families
    few = collection[np.arange(7)]
    assert cross_calibrated(few.graphs, few.families, fit) is None


def test_differences_by_hand():
    block = ("conv", "batch_norm", "relu")
    small = chain("input", *block * 2, "output").replace(
        kernels=[[3, 3] if place in (1, 4) else [0, 0] for place in range(8)]
    )
    large = chain("input", "max_pool", *block * 4, "matmul", "gelu", "gelu", "gelu", "gelu", "gelu", "output")
    shapes = large.shapes.copy()
    shapes[large.operators == CODES["conv"], 5] = (2, 3, 4, 5)
    traits = {"small": Traits.of(small), "large": Traits.of(large.replace(shapes=shapes))}
    assert differences(traits["small"], traits["small"]) == ()
    assert differences(traits["small"], traits["large"]) == (
        "depth 5 instead of 2",
        "widths 2 to 5 instead of 1",
        "kernels none instead of 3x3",
        "blocks of no repetition instead of (conv 3x3)",
        "activation gelu instead of relu",
        "with max_pool",
    )
    assert differences(traits["large"], traits["small"])[-1] == "without max_pool"
    other = Traits.of(chain("input", "conv", "layer_norm", "output"))
    assert "norm layer_norm instead of batch_norm" in differences(traits["small"], other)

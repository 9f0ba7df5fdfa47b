"""The once-for-all MobileNetV3 space."""

import numpy as np
import pytest

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import Architecture, MobileNetV3
from tfnas.spaces.mobilenetv3 import SKIP

SPACE = MobileNetV3()


def test_stages(rng):
    stages = [[(3, 3), (5, 6)], [(7, 4)] * 3, [(3, 6)] * 4, [(5, 3)] * 2, [(7, 6)] * 2]
    architecture = SPACE.from_stages(stages)
    assert SPACE.to_stages(architecture) == stages
    assert architecture.operations[1:5] == ("kernel_3_expand_3", "kernel_5_expand_6", SKIP, SKIP)
    cells = SPACE.sample(50, rng)
    for row in range(50):
        architecture = SPACE.architecture(cells, row)
        assert SPACE.from_stages(SPACE.to_stages(architecture)) == architecture


def test_size_counts_every_network():
    """Two, three or four of nine blocks in each of five stages."""
    assert SPACE.size == (9**2 + 9**3 + 9**4) ** 5
    with pytest.raises(ConfigurationError, match=r"2e\+19 networks and can't be enumerated"):
        SPACE.enumerate()


@pytest.mark.parametrize(
    ("places", "message"),
    [([2], "stage 0 has a gap at block 2"), ([1, 2, 3], "stage 0 has 1 blocks"), ([18, 17], "stage 4 has a gap")],
)
def test_rules(places, message):
    names = ["kernel_3_expand_3"] * 20
    for place in places:
        names[place] = SKIP
    architecture = Architecture(("input", *names, "output"), SPACE.graph)
    assert message in SPACE.validate(architecture)
    with pytest.raises(InvalidArchitectureError):
        SPACE.to_stages(architecture)


def test_wrong_stages():
    for stages in ([[(3, 3)] * 5] * 5, [[(3, 3)] * 2] * 4, [[(4, 3)] * 2] * 5):
        with pytest.raises(InvalidArchitectureError):
            SPACE.from_stages(stages)


def test_depths_and_mutations(rng):
    """Depths are uniform; a mutation changes one place, and depths change too."""
    cells = SPACE.sample(6000, rng)
    depth = (cells.operations[:, 1:-1].reshape(-1, 5, 4) != SPACE.operations.index(SKIP)).sum(axis=2)
    counts = np.bincount(depth.ravel())[2:]
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 20
    changed = set()
    for row in range(200):
        before = SPACE.architecture(cells, row)
        after = SPACE.mutate(before, rng)
        assert sum(a != b for a, b in zip(before.operations, after.operations, strict=True)) == 1
        changed.add(after.operations.count(SKIP) - before.operations.count(SKIP))
    assert changed == {-1, 0, 1}

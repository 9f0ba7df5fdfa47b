"""The adapter of the NAS-Bench-301 surrogates, with a stand-in for the package (it needs PyTorch and its models)."""

import sys
import types

import numpy as np
import pytest

from tfnas.benchmarks.readers.nasbench301 import SurrogateEvaluator, genotype
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.spaces import Darts, NASBench301

SPACE = NASBench301()


@pytest.fixture
def package(monkeypatch):
    """Answers with a number that depends on the genotype and on the folder."""

    class Model:
        def __init__(self, folder):
            self.folder = folder

        def predict(self, config, representation, with_noise):
            assert representation == "genotype"
            assert not with_noise
            convolutions = sum("conv" in name for name, _ in config.normal + config.reduce)
            return 90 + convolutions / 4 if self.folder.endswith("accuracy") else 100.0 * convolutions

    module = types.ModuleType("nasbench301")
    module.load_ensemble = Model
    monkeypatch.setitem(sys.modules, "nasbench301", module)


def test_genotype_is_that_of_darts(rng):
    pairs = np.array([[[[0, 0], [1, 3]] * 4, [[1, 2], [0, 6]] * 4]])
    cells = SPACE.from_pairs(pairs)
    found = genotype(SPACE.architecture(cells, 0))
    assert found.normal == [("max_pool_3x3", 0), ("sep_conv_3x3", 1)] * 4
    assert found.reduce == [("skip_connect", 1), ("dil_conv_5x5", 0)] * 4
    assert found.normal_concat == found.reduce_concat == [2, 3, 4, 5]
    with pytest.raises(InvalidArchitectureError):
        genotype(Darts().architecture(Darts().sample(1, rng), 0))


def test_predictions(package, tmp_path, rng):
    for name in ("accuracy", "time"):
        (tmp_path / name).mkdir()
    cells = SPACE.sample(5, rng)
    architectures = [SPACE.architecture(cells, row) for row in range(5)]
    scores = SurrogateEvaluator(tmp_path / "accuracy", tmp_path / "time").query(architectures)
    for architecture, score in zip(architectures, scores, strict=True):
        convolutions = sum("conv" in name for name in architecture.operations)
        assert score.validation == score.test == pytest.approx((90 + convolutions / 4) / 100)
        assert score.cost_seconds == 100 * convolutions
    assert SurrogateEvaluator(tmp_path / "accuracy").query(architectures)[0].cost_seconds == 0


def test_package_or_model_missing(package, tmp_path, monkeypatch):
    with pytest.raises(CorruptArtefactError, match="no such folder"):
        SurrogateEvaluator(tmp_path / "none")
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    with pytest.raises(ConfigurationError, match="pip install nasbench301"):
        SurrogateEvaluator(tmp_path)

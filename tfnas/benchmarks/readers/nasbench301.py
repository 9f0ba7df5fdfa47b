"""The official NAS-Bench-301 surrogates, through their own package.

References:
  Siems et al. 2020, "NAS-Bench-301 and the Case for Surrogate Benchmarks for Neural Architecture Search".
  https://github.com/automl/nasbench301 (package `nasbench301`, with PyTorch and its surrogate models).
"""

import collections
import importlib
import pathlib
from collections.abc import Sequence

from tfnas import artefacts
from tfnas.benchmarks.base import Evaluator, Score
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import Architecture, Darts, NASBench301

# The genotype's type in DARTS; the package looks at these fields.
Genotype = collections.namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
_CONCAT = [2, 3, 4, 5]


def genotype(architecture: Architecture) -> Genotype:
    """A pair of cells in the notation of DARTS: eight (operation, state read) per cell.

    Raises:
      InvalidArchitectureError: not a NAS-Bench-301 architecture.
    """
    space, darts = NASBench301(), Darts()
    space.require_valid(architecture)
    normal, reduction = (list(zip(*darts.to_genotype(cell), strict=True)) for cell in space.cells(architecture))
    return Genotype(normal, _CONCAT, reduction, _CONCAT)


class SurrogateEvaluator(Evaluator):
    """Predicted CIFAR-10 accuracy, and predicted training time as cost. The surrogate knows no test accuracy: both
    accuracies are its prediction.

    Args:
      performance_model: folder of the downloaded ensemble that predicts the accuracy.
      runtime_model: folder of the one that predicts the training time; without it queries cost nothing.

    Raises:
      ConfigurationError: the package is not installed.
      CorruptArtefactError: a folder does not exist.
    """

    lists = False

    def __init__(self, performance_model: artefacts.PathLike, runtime_model: artefacts.PathLike | None = None):
        self.space = NASBench301()
        try:
            package = importlib.import_module("nasbench301")
        except ImportError as error:
            raise ConfigurationError("package nasbench301 is not installed; `pip install nasbench301`") from error
        models = [None if path is None else pathlib.Path(path) for path in (performance_model, runtime_model)]
        for path in models:
            if path is not None and not path.is_dir():
                raise CorruptArtefactError(f"{path}: no such folder")
        self._performance, self._runtime = (path and package.load_ensemble(str(path)) for path in models)

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        scores = []
        for architecture in architectures:
            config = genotype(architecture)
            percent, seconds = (
                float(model.predict(config=config, representation="genotype", with_noise=False)) if model else 0.0
                for model in (self._performance, self._runtime)
            )
            scores.append(Score(percent / 100, percent / 100, seconds))
        return scores

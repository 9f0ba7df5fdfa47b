"""The front door: names in, objects that embed, predict, retrieve and search out.

`tfnas.load`, `tfnas.compare`, `tfnas.space` and `tfnas.benchmark` are the functions of this module,
`tfnas.import_model` is `graphs.importers.import_model`, and `tfnas.search` is `search.experiment.search`. TensorFlow
starts when a model is loaded.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from tfnas import artefacts
from tfnas.benchmarks import BENCHMARKS, Evaluator
from tfnas.benchmarks.function import FunctionEvaluator
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import Architecture, Space, get_space

if TYPE_CHECKING:
    from tfnas.graphs.importers import Model, Options
    from tfnas.retrieval.pairs import Pair


def load(name_or_folder: artefacts.PathLike, *, trust: bool = False) -> Any:
    """Opens an exported model; the manifest says of which kind the model is.

    Args:
      name_or_folder: name of a shipped model, or the folder of an export.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Returns:
      An encoder, whose `embed` gives vectors; a predictor, whose `predict` gives a score; or a retriever, whose
      `relatives` gives known architectures.

    Raises:
      ConfigurationError: neither the name of a shipped model nor a folder.
      CorruptArtefactError: the folder holds no model that tfnas exported, or a damaged model.
      MismatchError: the model was trained with what this version does not know.
      UntrustedModelError: see `saved_models.load_module`.

    Example:
      >>> encoder = load("arch2vec_nasbench201")
      >>> encoder.embed(space("nasbench201").sample(5, seed=0)).shape
      (5, 16)
    """
    from tfnas import encoders, saved_models
    from tfnas.predictors import label_predictor
    from tfnas.predictors import saved as predictors
    from tfnas.retrieval import index
    from tfnas.retrieval.relatives import Retriever

    openers: dict[str, Callable[..., Any]] = {
        **{row.kind: encoders.load for row in encoders.ENCODERS.values()},
        predictors.KIND: predictors.SavedPredictor,
        index.KIND: Retriever.load,
    }
    folder = saved_models.folder(name_or_folder)
    kind = artefacts.manifest_kind(folder)
    if kind == label_predictor.KIND:  # which holds no SavedModel
        return label_predictor.LabelPredictor.load(folder)
    if kind not in openers:
        known = ", ".join((*openers, label_predictor.KIND))
        raise CorruptArtefactError(f"{folder}: found {kind!r}, expected one of {known}")
    return openers[kind](folder, trust=trust)


def compare(first: "Model", second: "Model", **options: "Unpack[Options]") -> "Pair":
    """Two models side by side: how similar they are, what they share, and in what they differ.

    Args:
      first: model (see `importers.import_model`), or name of an architecture of the shipped index.
      second: model to compare with, or name of an architecture of the shipped index.
      **options: options of `importers.import_model`, such as input_shape, for every model that is not indexed.

    Raises:
      ConfigurationError: no such file, or an object that is no model.
      InvalidArchitectureError: a graph is empty or has operators that the encoder of the index does not know.

    Example:
      >>> compare("timm/resnet18", "timm/resnet34").differences
      ('depth 34 instead of 18',)
    """
    from tfnas.retrieval.relatives import Retriever

    return Retriever.load().compare(first, second, **options)


def space(name: str) -> Space:
    """The search space of a name; see `spaces.get_space`.

    Example:
      >>> space("nasbench201").size
      15625
    """
    return get_space(name)


def benchmark(
    name: str | Callable[[Architecture], float], *, space: Space | str | None = None, **settings: Any
) -> Evaluator:
    """What scores architectures: a benchmark by name, or a function.

    Args:
      name: name in `benchmarks.BENCHMARKS`, or a function from an architecture to an accuracy in [0, 1].
      space: space of the architectures that the function takes; only with a function.
      **settings: settings of the benchmark, such as `data` for trainings on images; see its row's `config`.

    Raises:
      ConfigurationError: an unknown benchmark or setting, a setting that is missing, or a function without space.
      CorruptArtefactError: a file is damaged.

    Example:
      >>> benchmark("digits201").space.name
      'nasbench201'
      >>> benchmark(lambda architecture: 0.5, space="darts").batch
      1
    """
    if callable(name):
        if space is None or settings:
            raise ConfigurationError("a function as a benchmark goes with its space, and with no other settings")
        evaluator = FunctionEvaluator(get_space(space) if isinstance(space, str) else space, name)
        evaluator.name = getattr(name, "__name__", "function")
        return evaluator
    if name not in BENCHMARKS:
        raise ConfigurationError(f"unknown benchmark {name!r}, expected one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name].evaluator(**settings if space is None else settings | {"space": space})

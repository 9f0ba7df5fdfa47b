"""Predicts from networks' files how good the networks are, and how sure that is.

  tfnas predict --model=my_model.keras
  tfnas predict --model=my_models --json=ranking.json

The answer on one model is its expected accuracy with an 80 % interval, its percentile among known networks, the three
nearest of them with their measured accuracies, and what drives the score. Several models, or a folder of models, make
a table, the best first.

A model is a file such as .keras, .onnx or .tflite, the folder of a SavedModel, or an architecture such as
nasbench201:13714 in any notation that its space reads. Its weights are not read and nothing in it is executed. The
shipped predictor learned from CIFAR-10 accuracies of benchmark networks: on a network unlike these it makes no
prediction, and several models are ranked by their form (tfnas.predictors.prior).
"""

import gc
import pathlib
import sys

import tfnas
from tfnas import artefacts
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError, TfnasError

_MODEL = tfnas_flags.define_repeated_path(
    "model", "File or folder of a model, a shipped name, SPACE:ARCHITECTURE, or a folder of models; may be repeated."
)
_PREDICTOR = tfnas_flags.define_path("predictor", "cg_predictor", "Predictor: a shipped name or a folder.")
_FIGURE = tfnas_flags.define_path("figure", None, "Map of known networks and a single model; none by default.")
_JSON = tfnas_flags.define_path("json", None, "Where the answer goes as JSON; none by default.")
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.predictors.saved.SavedPredictor` and `tfnas.predictors.ranking.rank`."""
    options = tfnas_flags.import_options()
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.networks.models import named_models
    from tfnas.predictors import label_predictor, saved

    models = named_models(_MODEL.value)
    if len(models) > 1 and _FIGURE.value:
        raise ConfigurationError(f"--figure={_FIGURE.value}: several models, expected a single model")
    folder = saved_models.folder(_PREDICTOR.value)
    if label_predictor.is_own(folder):
        _answer_in_own_units(label_predictor.LabelPredictor.load(folder), models, options)
        return
    predictor = saved.SavedPredictor(folder, trust=_TRUST.value)
    if len(models) > 1:
        _rank(predictor, models, options)
    else:
        _predict(predictor, models[0], options)


def _predict(predictor, model, options) -> None:
    from tfnas.graphs import importers
    from tfnas.predictors.ranking import rank
    from tfnas.predictors.saved import prediction_table

    graph = importers.import_model(model, **options)
    ranking = rank(predictor, [graph])
    (network,) = ranking.networks
    print(prediction_table(network.prediction))
    sizes = f"{network.parameters:,} parameters, {network.multiply_adds:,} multiply-adds"
    print(f"\n{sizes}, {network.activations} activation functions")
    if network.fault:
        print(f"This network can't be good whatever its training: {network.fault}.")
    if _JSON.value:
        embedding = network.prediction.embedding.tolist()
        artefacts.write_json(_JSON.value, ranking.records()[0] | {"embedding": embedding, "model": str(model)})
    if _FIGURE.value:
        from tfnas.reports import figures

        figures.family_map(
            predictor.reference,
            predictor.reference_families,
            pathlib.Path(_FIGURE.value),
            title=f"{graph.name} among known networks",
            marked=network.prediction.embedding,
        )


def _answer_in_own_units(predictor, models, options) -> None:
    """Predictions of a predictor that `train_predictor --data` exported."""
    from tfnas.predictors.label_predictor import predictions_table

    if _FIGURE.value:
        raise ConfigurationError(f"--figure={_FIGURE.value}: a predictor of own labels has no map")
    graphs, errors = _imported(models, options)
    if graphs:
        predictions = predictor.predict_all(graphs)
        print(predictions_table(predictions, predictor))
        if _JSON.value:
            artefacts.write_json(_JSON.value, [prediction.record() for prediction in predictions])
    _end(graphs, errors)


def _imported(models, options):
    """Graphs of the models that can be read, and errors of all others."""
    from tfnas.graphs import importers

    gc.freeze()  # or every collection would look through the modules of TensorFlow and Keras again
    graphs, errors = [], []
    for model in models:
        name = str(model) if isinstance(model, str | pathlib.Path) else model.name
        try:
            graphs.append(importers.import_model(model, **options).replace(name=name))
        except TfnasError as error:
            errors.append(f"error: {name}: {str(error).removeprefix(f'{name}: ')}")
    return graphs, errors


def _rank(predictor, models, options) -> None:
    from tfnas.predictors.ranking import rank

    graphs, errors = _imported(models, options)
    if graphs:
        ranking = rank(predictor, graphs)
        print(ranking)
        if _JSON.value:
            ranking.write(_JSON.value)
    _end(graphs, errors)


def _end(graphs, errors) -> None:
    print("\n".join(["", *errors] if errors else []), end="\n" if errors else "")
    if not graphs:
        sys.exit(1)


if __name__ == "__main__":
    tfnas_flags.run(main)

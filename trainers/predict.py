"""Predicts from a network's file how good the network is, and how sure that is.

  tfnas predict --model=my_model.keras

The answer is a score, its uncertainty, and a comparison with known networks.

The model is a file such as .keras, .onnx or .tflite, the folder of a SavedModel, or an architecture such as
nasbench201:13714 in any notation that its space reads. Its weights are not read and nothing in it is executed. The
shipped predictor learned from CIFAR-10 accuracies of benchmark networks: far from them (a distance well above 1), its
score means little, and the answer says so.
"""

import dataclasses
import pathlib

import tfnas
from tfnas import artefacts
from tfnas import flags as tfnas_flags

_MODEL = tfnas_flags.define_path(
    "model", None, "File or folder of a model, a shipped name, or SPACE:ARCHITECTURE.", required=True
)
_PREDICTOR = tfnas_flags.define_path("predictor", "cg_predictor", "Predictor: a shipped name or a folder.")
_FIGURE = tfnas_flags.define_path("figure", None, "Where the map of known networks goes; none by default.")
_JSON = tfnas_flags.define_path("json", None, "Where the answer goes as JSON; none by default.")
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.predictors.saved.SavedPredictor`."""
    options = tfnas_flags.import_options()
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.graphs import importers
    from tfnas.networks.models import named_model
    from tfnas.predictors import saved

    predictor = saved.SavedPredictor(saved_models.folder(_PREDICTOR.value))
    graph = importers.import_model(named_model(_MODEL.value), **options)
    answer = predictor.predict(graph)
    print(answer)
    if _JSON.value:
        fields = dataclasses.asdict(answer) | {"embedding": answer.embedding.tolist(), "model": str(_MODEL.value)}
        artefacts.write_json(_JSON.value, fields)
    if _FIGURE.value:
        from tfnas.reports import figures

        figures.family_map(
            predictor.reference,
            predictor.reference_families,
            pathlib.Path(_FIGURE.value),
            title=f"{graph.name} among known networks",
            marked=answer.embedding,
        )


if __name__ == "__main__":
    tfnas_flags.run(main)

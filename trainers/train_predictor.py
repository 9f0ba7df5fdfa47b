"""Trains a predictor of accuracies on embeddings of computation graphs, and exports it.

  tfnas train_predictor --benchmarks=nasbench101:5000,nasbench201_cifar10:5000 --output_dir=OUT
  tfnas train_predictor --benchmarks=digits201:500:validation_accuracy_12 --output_dir=OUT
  tfnas train_predictor --corpus=CORPUS --target=my_family --labels=50 --output_dir=OUT
  tfnas train_predictor --data=my_labels.csv --output_dir=OUT

The last command learns from labels of your own networks, 5 to some hundred: a CSV file with the columns model (a path
from the file's folder, or an architecture such as nasbench201:13714) and accuracy (any metric of which more is better).
It compares what it learns with trivial baselines by cross-validation, and a baseline that is ahead predicts. With
--jacobian_images=images.npz, a predictor that also reads the shipped Jacobian encoder is compared.

The command with --target fine-tunes the predictor on one family after all other families. Labels are a column of each
benchmark's table, by default its test accuracy, or the labels that graphs of a corpus carry. The column is printed and
stands in summary.json and in the predictor's manifest. OUT gets the SavedModel OUT/predictor and summary.json with
Spearman's correlation on held-out networks.
"""

import pathlib

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.benchmarks.trained import images
from tfnas.errors import ConfigurationError
from tfnas.networks.registry import BENCHMARK, LAYOUTS
from tfnas.predictors.config import MLPConfig

_ENCODER = tfnas_flags.define_path("encoder", "cg_encoder", "Encoder of graphs: a shipped name or a folder.")
_BENCHMARKS = flags.DEFINE_list(
    "benchmarks", [], "Benchmarks to learn from, as NAME, NAME:COUNT, NAME:COUNT:COLUMN or NAME::COLUMN."
)
_CORPUS = tfnas_flags.define_paths("corpus", [], "Folders of labelled graphs to learn from.")
_LAYOUT = flags.DEFINE_enum("layout", BENCHMARK, LAYOUTS, "Networks of the benchmarks' cells.")
_TARGET = flags.DEFINE_string("target", None, "Family to fine-tune on, after all other families.")
_LABELS = flags.DEFINE_integer("labels", 50, "Labels of the target that may be used.", lower_bound=3)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
tfnas_flags.define_from_rows({"the ensemble": MLPConfig})
_DATA = tfnas_flags.define_path("data", None, "CSV file of your own models and their labels.")
_COLUMN = flags.DEFINE_string("column", "accuracy", "Column of --data that holds the labels; more is better.")
_JACOBIANS = tfnas_flags.define_path(
    "jacobian_images", None, f"With --data: compare a predictor that reads Jacobians over images too. {images.FORMATS}"
)
tfnas_flags.define_import_options()
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `predictors.graph_predictor.GraphPredictor` or `predictors.label_predictor.LabelPredictor`."""
    tfnas.runtime.one_thread_per_operation()
    if _JACOBIANS.value and not _DATA.value:
        raise ConfigurationError(f"--jacobian_images={_JACOBIANS.value}: goes with --data")
    if _DATA.value:
        _learn_own_labels()
    else:
        _learn_families()


def _learn_own_labels() -> None:
    options = tfnas_flags.import_options()
    excluded = [flag.name for flag in (_BENCHMARKS, _CORPUS, _TARGET) if flag.value]
    excluded += tfnas_flags.overrides(MLPConfig)
    if excluded:
        raise ConfigurationError(f"--data={_DATA.value}: --{excluded[0]} is given too, expected one of them")

    from tfnas import artefacts
    from tfnas.encoders.jacobian.models import ModelJacobians
    from tfnas.predictors.label_predictor import LabelPredictor
    from tfnas.predictors.own_labels import read_csv

    labels = read_csv(_DATA.value, _COLUMN.value, **options)
    settings = {"program": "train_predictor", "data": artefacts.sha256(_DATA.value), "import": options}
    settings |= {"column": _COLUMN.value, "seed": _SEED.value}
    jacobians = None
    if _JACOBIANS.value:
        jacobians = ModelJacobians.over(_JACOBIANS.value, _SEED.value)
        settings["jacobian_images"] = _JACOBIANS.value
    output_dir = tfnas_flags.output_folder(settings)
    predictor = LabelPredictor(_SEED.value, jacobians).fit(labels, pathlib.Path(_DATA.value).parent)
    predictor.save(output_dir / "predictor")
    artefacts.write_json(output_dir / "summary.json", predictor.facts())
    print(f"{predictor.table()}\n\n{predictor.reason}")


def _learn_families() -> None:
    from tfnas import saved_models
    from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
    from tfnas.predictors import labelled
    from tfnas.predictors.graph_predictor import GraphPredictor

    config = MLPConfig(**tfnas_flags.overrides(MLPConfig))
    sources = [labelled.LabelSource.parse(entry) for entry in _BENCHMARKS.value]
    encoder = SavedGraphEncoder(saved_models.folder(_ENCODER.value), trust=_TRUST.value)
    examples = labelled.read(sources, _CORPUS.value, layout=_LAYOUT.value, seed=_SEED.value)
    chosen = (_BENCHMARKS, _CORPUS, _LAYOUT, _TARGET, _LABELS, _SEED)
    settings = {"program": "train_predictor", "encoder": encoder.fingerprint, **tfnas_flags.overrides(MLPConfig)}
    output_dir = tfnas_flags.output_folder(settings | {flag.name: flag.value for flag in chosen})
    for family, origin in examples.origins.items():
        print(f"{family:24s} labels: {origin}")
    predictor = GraphPredictor(encoder, config, _SEED.value, target=_TARGET.value, labels=_LABELS.value)
    predictor.fit(examples.graphs, examples.graphs.labels, examples.names).save(output_dir, examples.origins)
    print(f"\nSpearman's correlation on networks that were not learned from:\n\n{predictor.table()}")


if __name__ == "__main__":
    tfnas_flags.run(main)

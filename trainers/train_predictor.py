"""Trains a predictor of accuracies on embeddings of computation graphs, and exports it.

  tfnas train_predictor --benchmarks=nasbench101:5000,nasbench201_cifar10:5000 --output_dir=OUT
  tfnas train_predictor --benchmarks=digits201:500:validation_accuracy_12 --output_dir=OUT
  tfnas train_predictor --corpus=CORPUS --target=my_family --labels=50 --output_dir=OUT

The last command fine-tunes the predictor on one family after all other families. Labels are a column of each
benchmark's table, by default its test accuracy, or the labels that graphs of a corpus carry. The column is printed and
stands in summary.json and in the predictor's manifest. OUT gets the SavedModel OUT/predictor and summary.json with
Spearman's correlation on held-out networks.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
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
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.predictors.graph_predictor.GraphPredictor`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
    from tfnas.predictors import labelled
    from tfnas.predictors.graph_predictor import GraphPredictor

    config = MLPConfig(**tfnas_flags.overrides(MLPConfig))
    sources = [labelled.LabelSource.parse(entry) for entry in _BENCHMARKS.value]
    encoder = SavedGraphEncoder(saved_models.folder(_ENCODER.value))
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

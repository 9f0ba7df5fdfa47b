"""Trains a predictor of accuracies on embeddings of computation graphs, fine-tunes it if asked, and exports it.

  python -m trainers.train_predictor --benchmarks=nasbench101:5000,nasbench201_cifar10:5000 --output_dir=OUT
  python -m trainers.train_predictor --corpus=CORPUS --target=my_family --labels=50 --output_dir=OUT

Labels are those of the benchmarks' tables, or those that graphs of a corpus carry. OUT gets the SavedModel
OUT/predictor and summary.json with Spearman's correlation on held-out networks.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_ENCODER = flags.DEFINE_string("encoder", None, "Folder of an exported encoder; by default the shipped one.")
_BENCHMARKS = flags.DEFINE_list("benchmarks", [], "Benchmarks to learn from, each with or without :COUNT.")
_CORPUS = flags.DEFINE_list("corpus", [], "Folders of labelled graphs to learn from.")
_LAYOUT = flags.DEFINE_enum("layout", "benchmark", ("benchmark", "predictor"), "Networks of the benchmarks' cells.")
_TARGET = flags.DEFINE_string("target", None, "Family to fine-tune on; the others are what is learned first.")
_LABELS = flags.DEFINE_integer("labels", 50, "Labels of the target that may be used.", lower_bound=3)
_MEMBERS = flags.DEFINE_integer("members", 5, "Networks in the ensemble.", lower_bound=2)
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the source labels.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.predictors.graph_predictor.train`."""
    counts = {}
    for entry in _BENCHMARKS.value:
        name, _, count = entry.partition(":")
        if count and not count.isdigit():
            raise ConfigurationError(f"--benchmarks={entry}: expected a name, or a name and :COUNT")
        counts[name] = int(count) if count else None
    if not counts and not _CORPUS.value:
        raise ConfigurationError("nothing to learn from; pass --benchmarks or --corpus")

    tfnas.runtime.one_thread_per_operation()

    from tfnas.corpora import graphs as graph_corpora
    from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
    from tfnas.graphs.packed import PackedGraphs
    from tfnas.predictors import graph_predictor, labelled
    from tfnas.predictors.mlp import MLPConfig

    encoder = SavedGraphEncoder(_ENCODER.value)
    parts = [graph_corpora.load_graphs(_CORPUS.value)] if _CORPUS.value else []
    if counts:
        parts.append(labelled.from_benchmarks(counts, layout=_LAYOUT.value, seed=_SEED.value))
    chosen = (_BENCHMARKS, _CORPUS, _LAYOUT, _TARGET, _LABELS, _MEMBERS, _EPOCHS, _SEED)
    settings = {"program": "train_predictor", "encoder": encoder.fingerprint}
    output_dir = tfnas_flags.output_folder(settings | {flag.name: flag.value for flag in chosen})
    summary = graph_predictor.train(
        encoder,
        PackedGraphs.concatenate(parts),
        output_dir,
        MLPConfig(members=_MEMBERS.value, epochs=_EPOCHS.value),
        _SEED.value,
        target=_TARGET.value,
        labels=_LABELS.value,
    )
    for name, value in summary["spearman"].items():
        print(
            f"{name:24s} Spearman's correlation on held-out networks {'unknown' if value is None else f'{value:.3f}'}"
        )


if __name__ == "__main__":
    tfnas_flags.run(main)

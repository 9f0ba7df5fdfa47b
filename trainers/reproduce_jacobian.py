"""Reproduces experiments of the Jacobian embeddings, each with its table and figure.

  python -m trainers.reproduce_jacobian --experiment=table1 --output_dir=OUT

Experiments: table1 (rank correlation after few labels), search, transfer (between two spaces), maps (t-SNE), training
(embeddings of networks in training), ablation (images, initialisations, encodings). Accuracies and images come from
the folder TFNAS_DATA_DIR. Jacobians are found in the folder --corpora, or extracted to it first. A run that was killed
goes on with --resume.
"""

import pathlib

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_NAMES = ("table1", "search", "transfer", "maps", "training", "ablation")
_EXPERIMENT = flags.DEFINE_list("experiment", "all", f"One or more of {', '.join(_NAMES)}, or all.")
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_CELLS = flags.DEFINE_integer("cells", 2000, "Architectures of NAS-Bench-201.", lower_bound=600, upper_bound=5666)
_WIDTHS = flags.DEFINE_integer("widths", 1000, "Architectures of the NATS size space.", lower_bound=300)
_INITS = flags.DEFINE_integer("initializations", 4, "Networks per architecture.", lower_bound=2)
_ENCODERS = flags.DEFINE_integer("encoders", 3, "Trainings per encoder.", lower_bound=1)
_DRAWS = flags.DEFINE_integer("draws", 3, "Sets of labels per training.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 500, "Searches per method.", lower_bound=2)
_QUERIES = flags.DEFINE_integer("queries", 200, "Queries of a search.", lower_bound=20)
_IMAGES = flags.DEFINE_integer("images", 64, "Images that Jacobians are taken of.", lower_bound=2)
_CORPORA = flags.DEFINE_string(
    "corpora", None, "Folder of Jacobians, kept for later runs; by default among the results."
)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `reproductions.jacobian.experiments`."""
    from reproductions.jacobian import experiments

    names = experiments.check_experiments(_EXPERIMENT.value)
    options = (_SEED, _CELLS, _WIDTHS, _IMAGES, _INITS, _ENCODERS, _DRAWS, _RUNS, _QUERIES, _CORPORA)
    chosen = {flag.name: flag.value for flag in options}
    if _CORPORA.value:
        inside = pathlib.Path(_CORPORA.value).resolve().is_relative_to(pathlib.Path(flags.FLAGS.output_dir).resolve())
        if inside:
            raise tfnas.errors.ConfigurationError("--corpora lies in --output_dir, which --overwrite would delete")
    output_dir = tfnas_flags.output_folder({"program": "reproduce_jacobian", "experiment": _EXPERIMENT.value, **chosen})
    for name in names:
        if not (output_dir / f"{name}.md").exists():
            experiments.EXPERIMENTS[name](output_dir, experiments.Settings(**chosen))
        print((output_dir / f"{name}.md").read_text())


if __name__ == "__main__":
    tfnas_flags.run(main)

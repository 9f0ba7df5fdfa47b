"""Reproduces experiments of architecture retrieval, each with its table.

  python -m trainers.reproduce_retrieval --experiment=table1 --output_dir=OUT

Experiments: table1 (all methods on real-world, own and synthetic networks), ablation, sources (queries from a hub that
nothing is trained on). The real-world graphs come from the folder TFNAS_DATA_DIR. A run that was killed goes on with
--resume.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_NAMES = ("table1", "ablation", "sources")
_EXPERIMENT = flags.DEFINE_list("experiment", "all", f"One or more of {', '.join(_NAMES)}, or all.")
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_TRAININGS = flags.DEFINE_integer("trainings", 3, "Trainings per method.", lower_bound=1)
_LINEAGES = flags.DEFINE_integer("lineages", 600, "Ancestors per space of the synthetic networks.", lower_bound=20)
_DESCENDANTS = flags.DEFINE_integer("descendants", 10, "Networks per ancestor.", lower_bound=4)
_EPOCHS = flags.DEFINE_list("epochs", ["40", "20", "1"], "Passes over real-world, own and synthetic networks.")
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `reproductions.retrieval.experiments`."""
    from reproductions.retrieval import experiments

    names = experiments.check_experiments(_EXPERIMENT.value)
    if len(_EPOCHS.value) != 3 or not all(text.isdigit() and int(text) for text in _EPOCHS.value):
        raise tfnas.errors.ConfigurationError(f"--epochs={','.join(_EPOCHS.value)}, expected three positive numbers")
    chosen = {flag.name: flag.value for flag in (_SEED, _TRAININGS, _LINEAGES, _DESCENDANTS)}
    recorded = {"program": "reproduce_retrieval", "experiment": _EXPERIMENT.value, "epochs": _EPOCHS.value, **chosen}
    output_dir = tfnas_flags.output_folder(recorded)
    settings = experiments.Settings(epochs=tuple(map(int, _EPOCHS.value)), **chosen)
    for name in names:
        if not (output_dir / f"{name}.md").exists():
            experiments.EXPERIMENTS[name](output_dir, settings)
        print((output_dir / f"{name}.md").read_text())


if __name__ == "__main__":
    tfnas_flags.run(main)

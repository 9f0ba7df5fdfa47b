"""Reproduces experiments of the arch2vec paper, each with its table, figure and a comparison with the paper's numbers.

  python -m trainers.reproduce_arch2vec --experiment=table3 --output_dir=OUT

Measured accuracies come from the tables in the folder TFNAS_DATA_DIR.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_NAMES = ("table3", "figure2")
_EXPERIMENT = flags.DEFINE_list("experiment", "all", f"One or more of {', '.join(_NAMES)}, or all.")
_RUNS = flags.DEFINE_integer("runs", 500, "Search runs per method of table 3.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first run.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.reproduction`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas.reproduction import arch2vec

    names = arch2vec.check_experiments(_EXPERIMENT.value)
    settings = {
        "program": "reproduce_arch2vec",
        "experiment": _EXPERIMENT.value,
        "runs": _RUNS.value,
        "seed": _SEED.value,
    }
    output_dir = tfnas.artefacts.prepare_output_folder(
        flags.FLAGS.output_dir, settings, resume=flags.FLAGS.resume, overwrite=flags.FLAGS.overwrite
    )
    for name in names:
        arch2vec.run(name, output_dir, runs=_RUNS.value, seed=_SEED.value)
        print((output_dir / f"{name}.md").read_text())


if __name__ == "__main__":
    tfnas_flags.run(main)

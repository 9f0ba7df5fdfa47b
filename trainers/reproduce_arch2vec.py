"""Reproduces experiments of the arch2vec paper, each with its table, figure and a comparison with the paper's numbers.

  python -m trainers.reproduce_arch2vec --experiment=table3 --output_dir=OUT

Measured accuracies come from the tables in the folder TFNAS_DATA_DIR. A run that was killed goes on with --resume:
finished experiments, pretrainings and searches are not repeated.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_NAMES = ("table1", "table2", "table3", "table4", "figure2", "figure3", "figure4", "figure5")
_EXPERIMENT = flags.DEFINE_list("experiment", "all", f"One or more of {', '.join(_NAMES)}, or all.")
_RUNS = flags.DEFINE_integer("runs", 500, "Search runs per method of tables 2 and 3.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first run.", lower_bound=0)
_SEEDS = flags.DEFINE_integer("pretraining_seeds", 3, "Table 1: pretrainings of arch2vec per space.", lower_bound=1)
_OTHER_SEEDS = flags.DEFINE_integer("other_seeds", 1, "Table 1: pretrainings of every other row.", lower_bound=1)
_DARTS_CELLS = flags.DEFINE_integer("darts_cells", 600_000, "Table 1: sampled cells of DARTS.", lower_bound=1000)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `reproductions`."""
    tfnas.runtime.one_thread_per_operation()

    from reproductions.arch2vec import experiments

    names = experiments.check_experiments(_EXPERIMENT.value)
    chosen = {flag.name: flag.value for flag in (_RUNS, _SEED, _SEEDS, _OTHER_SEEDS, _DARTS_CELLS)}
    output_dir = tfnas_flags.output_folder({"program": "reproduce_arch2vec", "experiment": _EXPERIMENT.value, **chosen})
    for name in names:
        if not (output_dir / f"{name}.md").exists():
            experiments.run(name, output_dir, experiments.Settings(**chosen))
        print((output_dir / f"{name}.md").read_text())


if __name__ == "__main__":
    tfnas_flags.run(main)

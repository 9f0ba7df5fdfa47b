"""Reproduces experiments of the transferable predictor, each with its table and the paper's numbers beside ours.

  python -m trainers.reproduce_predictor --experiment=table1 --output_dir=OUT

Experiments: table1 (rank correlations with few labels), table2 (ablations), table3 (searches), table4 (MobileNetV3),
proxies. Accuracies and images come from the folder TFNAS_DATA_DIR. A run that was killed goes on with --resume.
"""

from absl import flags

from tfnas import flags as tfnas_flags

_NAMES = ("table1", "table2", "table3", "table4", "proxies")
_EXPERIMENT = flags.DEFINE_list("experiment", "all", f"One or more of {', '.join(_NAMES)}, or all.")
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_RUNS = flags.DEFINE_integer("runs", 5, "Fine-tunings per target.", lower_bound=2)
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Table 1: epochs of contrastive pretraining.", lower_bound=1)
_NB101 = flags.DEFINE_integer("nasbench101_graphs", 50_000, "Networks of NAS-Bench-101.", lower_bound=100)
_NB301 = flags.DEFINE_integer("nasbench301_graphs", 10_000, "Networks of NAS-Bench-301.", lower_bound=325)
_SEARCHES = flags.DEFINE_integer("search_runs", 20, "Searches per strategy on NAS-Bench-201.", lower_bound=2)
_CELLS = flags.DEFINE_integer("proxy_cells", 500, "Cells of NAS-Bench-201 that are scored.", lower_bound=60)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `reproductions.predictor.experiments`."""
    from reproductions.predictor import experiments

    names = experiments.check_experiments(_EXPERIMENT.value)
    chosen = {flag.name: flag.value for flag in (_SEED, _RUNS, _EPOCHS, _NB101, _NB301, _SEARCHES, _CELLS)}
    settings = {"program": "reproduce_predictor", "experiment": _EXPERIMENT.value, **chosen}
    output_dir = tfnas_flags.output_folder(settings)
    for name in names:
        if not (output_dir / f"{name}.md").exists():
            experiments.EXPERIMENTS[name](output_dir, experiments.Settings(**chosen))
        print((output_dir / f"{name}.md").read_text())


if __name__ == "__main__":
    tfnas_flags.run(main)

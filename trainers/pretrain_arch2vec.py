"""Pretrains arch2vec on the cells of a search space and exports the encoder.

  python -m trainers.pretrain_arch2vec --space=nasbench201 --epochs=10 --seed=1 --output_dir=OUT

OUT gets summary.json, metrics.jsonl, training.png, TensorBoard events, checkpoints and the SavedModel OUT/encoder.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.arch2vec.config import PRESETS, Arch2VecConfig, preset
from tfnas.spaces import SPACE_NAMES

_SPACE = flags.DEFINE_enum("space", None, SPACE_NAMES, "Search space.", required=True)
_CORPUS = flags.DEFINE_string("corpus", None, "Folder of TFRecord shards to train on, instead of the whole space.")
_NUM_CELLS = flags.DEFINE_integer("num_cells", 600_000, "Cells to sample from a space that can't be enumerated.")
_MULTIPLY_ADDS = flags.DEFINE_float(
    "max_multiply_adds_millions",
    None,
    "Sample DARTS cells whose ImageNet network needs at most so many (arch2vec: 600).",
)
_PRESET = flags.DEFINE_enum("preset", "tfnas", tuple(PRESETS), "Settings that the flags below change.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the training cells.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_STRATEGY = flags.DEFINE_string("strategy", "default", "tf.distribute strategy: default, mirrored or multi_worker.")
tfnas_flags.define_from_config(Arch2VecConfig)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.arch2vec.pretrain.pretrain`."""
    config = preset(_PRESET.value, **tfnas_flags.overrides(Arch2VecConfig))

    tfnas.runtime.one_thread_per_operation()

    from tfnas.corpora import cell_sources
    from tfnas.encoders.arch2vec.pretrain import pretrain
    from tfnas.training.strategies import get_strategy

    strategy = get_strategy(_STRATEGY.value)
    bound = None if _MULTIPLY_ADDS.value is None else 1e6 * _MULTIPLY_ADDS.value
    space, cells = cell_sources.cells_of(_SPACE.value, _CORPUS.value, _NUM_CELLS.value, _SEED.value, bound)
    settings = {
        "program": "pretrain_arch2vec",
        "space": _SPACE.value,
        "corpus": _CORPUS.value,
        "num_cells": len(cells),
        "max_multiply_adds_millions": _MULTIPLY_ADDS.value,
        "epochs": _EPOCHS.value,
        "seed": _SEED.value,
        "config": dataclasses.asdict(config),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = pretrain(
        config,
        space,
        cells,
        output_dir,
        epochs=_EPOCHS.value,
        seed=_SEED.value,
        strategy=strategy,
        resume=flags.FLAGS.resume,
    )
    for name in ("reconstruction_accuracy", "validity", "uniqueness"):
        if name in summary:
            print(f"{name:24s} {summary[name]:.4f}")


if __name__ == "__main__":
    tfnas_flags.run(main)

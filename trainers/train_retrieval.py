"""Trains the encoder of architecture retrieval on a corpus of named models, and exports it.

  python -m trainers.build_corpus --sources=keras,tf_keras --output_dir=CORPUS
  python -m trainers.train_retrieval --corpus=CORPUS/corpus --output_dir=OUT

OUT gets OUT/encoder (a SavedModel and its motifs), summary.json, training.png, map.png, and logs and checkpoints by
stage. Of models with the same structure the first is taken.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.motif.config import PRESETS, MotifEncoderConfig, preset

_CORPUS = flags.DEFINE_list("corpus", None, "Folders of graphs that trainers.build_corpus wrote.", required=True)
_PRESET = flags.DEFINE_enum("preset", "tfnas", tuple(PRESETS), "Settings that the flags below change.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Passes over the models.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_STRATEGY = flags.DEFINE_string("strategy", "default", "tf.distribute strategy: default, mirrored or multi_worker.")
tfnas_flags.define_from_config(MotifEncoderConfig)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.motif.pretrain.pretrain`."""
    config = preset(_PRESET.value, **tfnas_flags.overrides(MotifEncoderConfig))

    tfnas.runtime.one_thread_per_operation()

    from tfnas.encoders.motif.pretrain import pretrain
    from tfnas.retrieval.collection import Collection
    from tfnas.training.strategies import get_strategy

    strategy = get_strategy(_STRATEGY.value)
    models = Collection.from_corpora(_CORPUS.value).distinct()
    settings = {
        "program": "train_retrieval",
        **{flag.name: flag.value for flag in (_CORPUS, _EPOCHS, _SEED)},
        "config": dataclasses.asdict(config),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = pretrain(
        config,
        models.graphs.with_own_families(),
        output_dir,
        epochs=_EPOCHS.value,
        seed=_SEED.value,
        strategy=strategy,
        resume=flags.FLAGS.resume,
    )
    if summary:
        print(f"{summary['graphs']} models of {summary['families']} families, loss {summary['loss']:.4f}")


if __name__ == "__main__":
    tfnas_flags.run(main)

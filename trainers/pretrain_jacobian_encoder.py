"""Trains the encoder of data Jacobians by contrast between initialisations, without labels, and exports it.

  python -m trainers.extract_jacobians --space=nasbench201 --count=2000 --data=cifar10.npz --output_dir=JACOBIANS
  python -m trainers.pretrain_jacobian_encoder --corpus=JACOBIANS/corpus --epochs=100 --output_dir=OUT

OUT gets the SavedModel OUT/encoder, summary.json, metrics.jsonl, training.png, map.png, TensorBoard events and
checkpoints.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.jacobian.config import PRESETS, JacobianEncoderConfig, preset

_CORPUS = flags.DEFINE_list("corpus", None, "Folders that trainers.extract_jacobians wrote.", required=True)
_PRESET = flags.DEFINE_enum("preset", "tfnas", tuple(PRESETS), "Settings that the flags below change.")
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Passes over the architectures.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_STRATEGY = flags.DEFINE_string("strategy", "default", "tf.distribute strategy: default, mirrored or multi_worker.")
tfnas_flags.define_from_config(JacobianEncoderConfig)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.jacobian.pretrain.pretrain`."""
    config = preset(_PRESET.value, **tfnas_flags.overrides(JacobianEncoderConfig))

    tfnas.runtime.one_thread_per_operation()

    from tfnas.encoders.jacobian import corpus as jacobian_corpus
    from tfnas.encoders.jacobian.pretrain import pretrain
    from tfnas.training.strategies import get_strategy

    strategy = get_strategy(_STRATEGY.value)
    corpora = [jacobian_corpus.load(folder) for folder in _CORPUS.value]
    settings = {
        "program": "pretrain_jacobian_encoder",
        **{flag.name: flag.value for flag in (_CORPUS, _EPOCHS, _SEED)},
        "config": dataclasses.asdict(config),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = pretrain(
        config,
        corpora,
        output_dir,
        epochs=_EPOCHS.value,
        seed=_SEED.value,
        strategy=strategy,
        resume=flags.FLAGS.resume,
    )
    if summary:
        left_out = sum(summary["left_out"].values())
        print(
            f"{sum(summary['architectures'].values())} architectures ({left_out} left out), loss {summary['loss']:.4f}"
        )


if __name__ == "__main__":
    tfnas_flags.run(main)

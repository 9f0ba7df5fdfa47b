"""Pretrains the encoder of computation graphs by contrast, without labels, and exports it.

  python -m trainers.build_corpus --spaces=nasbench101:10000,nasbench201:5000,mobilenetv3:5000 --output_dir=CORPUS
  python -m trainers.pretrain_cg_encoder --corpus=CORPUS/corpus --epochs=3 --output_dir=OUT

OUT gets the SavedModel OUT/encoder, summary.json, metrics.jsonl, training.png, map.png, TensorBoard events and
checkpoints.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.computation_graph.config import PRESETS, GraphEncoderConfig, preset

_CORPUS = flags.DEFINE_list("corpus", None, "Folders of graphs that trainers.build_corpus wrote.", required=True)
_PRESET = flags.DEFINE_enum("preset", "tfnas", tuple(PRESETS), "Settings that the flags below change.")
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Passes over the graphs.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
_STRATEGY = flags.DEFINE_string("strategy", "default", "tf.distribute strategy: default, mirrored or multi_worker.")
tfnas_flags.define_from_config(GraphEncoderConfig)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.computation_graph.pretrain.pretrain`."""
    config = preset(_PRESET.value, **tfnas_flags.overrides(GraphEncoderConfig))

    tfnas.runtime.one_thread_per_operation()

    from tfnas.encoders.computation_graph.pretrain import pretrain
    from tfnas.predictors import labelled
    from tfnas.training.strategies import get_strategy

    strategy = get_strategy(_STRATEGY.value)
    graphs = labelled.from_corpora(_CORPUS.value)
    settings = {
        "program": "pretrain_cg_encoder",
        **{flag.name: flag.value for flag in (_CORPUS, _EPOCHS, _SEED)},
        "config": dataclasses.asdict(config),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = pretrain(
        config,
        graphs,
        output_dir,
        epochs=_EPOCHS.value,
        seed=_SEED.value,
        strategy=strategy,
        resume=flags.FLAGS.resume,
    )
    if summary:
        print(f"{summary['graphs']} graphs of {len(summary['families'])} families, loss {summary['loss']:.4f}")


if __name__ == "__main__":
    tfnas_flags.run(main)

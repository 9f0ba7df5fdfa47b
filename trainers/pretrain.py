"""Pretrains an encoder and exports it; no labels are needed.

  tfnas pretrain --encoder=arch2vec --space=nasbench201 --output_dir=OUT
  tfnas pretrain --encoder=colour --corpus=GRAPHS/corpus --output_dir=OUT
  tfnas pretrain --encoder=computation_graph --corpus=GRAPHS/corpus --output_dir=OUT
  tfnas pretrain --encoder=jacobian --corpus=JACOBIANS/corpus --output_dir=OUT
  tfnas pretrain --encoder=motif --corpus=GRAPHS/corpus --output_dir=OUT
  tfnas pretrain --encoder=motif --help

The last command lists the flags of one encoder. `tfnas build_corpus` makes GRAPHS and `tfnas extract_jacobians`
makes JACOBIANS. OUT gets the SavedModel OUT/encoder, summary.json, metrics.jsonl, training.png, map.png, TensorBoard
events and checkpoints; the motif encoder has metrics, events and checkpoints by stage. The colour encoder is computed
in closed form: it has no metrics, events and checkpoints.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders import ENCODERS, EncoderKind

if __name__ != "__main__":
    flags.disclaim_key_flags()  # the flags belong to the binary of a former name, whose --help shows them


def define(kind: EncoderKind) -> None:
    """Defines the flags of an encoder."""
    flags.DEFINE_enum("preset", "tfnas", tuple(kind.presets), "Settings that the flags below change.")
    flags.DEFINE_integer("seed", 1, "Seed of everything random.", lower_bound=0)
    if kind.epochs is not None:
        flags.DEFINE_integer("epochs", kind.epochs, "Passes over the data.", lower_bound=1)
        flags.DEFINE_string("strategy", "default", "tf.distribute strategy: default, mirrored or multi_worker.")
    tfnas_flags.define_from_rows({kind.name: kind.inputs})
    tfnas_flags.define_from_config(kind.config)


def main(kind: EncoderKind) -> None:
    """Flags -> `run` of the learning of the encoder."""
    values = flags.FLAGS
    config = kind.preset(values.preset, **tfnas_flags.overrides(kind.config))
    inputs = kind.inputs_from(tfnas_flags.overrides(kind.inputs))
    tfnas.runtime.one_thread_per_operation()

    from tfnas.training.strategies import get_strategy

    by_gradients = kind.epochs is not None
    options = {"epochs": values.epochs, "strategy": get_strategy(values.strategy)} if by_gradients else {}
    learning = kind.pretraining.read(config, inputs, values.seed)
    settings = {"program": kind.program, **learning.settings(inputs), "seed": values.seed}
    if by_gradients:
        settings["epochs"], options["resume"] = values.epochs, values.resume
    output_dir = tfnas_flags.output_folder(settings | {"config": dataclasses.asdict(config)})
    summary = learning.run(output_dir, seed=values.seed, **options)
    if summary:
        print(learning.headline(summary))


def run(name: str | None) -> None:
    """Parses flags and pretrains the encoder of that name; without a name it prints the help that was asked for."""
    if name is not None:
        define(ENCODERS[name])
    tfnas_flags.define_output()
    tfnas_flags.run(lambda: main(ENCODERS[name]))


if __name__ == "__main__":
    summaries = "; ".join(f"{kind.name}: {kind.summary}" for kind in ENCODERS.values())
    run(tfnas_flags.chosen("encoder", tuple(ENCODERS), summaries))

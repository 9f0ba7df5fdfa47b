"""Trains the network of a DARTS cell or a pair of cells, as tables 4 and 5 of arch2vec do.

  tfnas train_darts --cell=arch2vec_bo --data=cifar10.npz --output_dir=OUT
  tfnas train_darts --cell=arch2vec_bo --task=imagenet --data=imagenet.npz --output_dir=OUT

The task decides network and training as the paper has them, every flag below changes one of their settings. `final` and
`imagenet` learn from training and validation images; `query` leaves the latter out, as a search does. OUT gets
summary.json, metrics.jsonl, training.png, TensorBoard events and checkpoints.
"""

import dataclasses

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.benchmarks.trained import images
from tfnas.benchmarks.trained.darts_config import TRAININGS, DartsTraining

_CELL = flags.DEFINE_string(
    "cell",
    None,
    "arch2vec_bo, arch2vec_rl, a genotype as DARTS or NASLib writes it, or eight operation:state.",
    required=True,
)
_DATA = tfnas_flags.define_path("data", None, images.FORMATS, required=True)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", None, "Pixels that images of a folder are resized to.", lower_bound=1)
_TASK = flags.DEFINE_enum("task", "final", tuple(TRAININGS), "Task whose settings are the defaults of the flags below.")
_CHANNELS = flags.DEFINE_integer("channels", None, "Width of the first cells' operations.", lower_bound=2)
_LAYERS = flags.DEFINE_integer("layers", None, "Number of cells.", lower_bound=3)
_AUXILIARY = flags.DEFINE_boolean("auxiliary", None, "Train with a second classifier at two thirds of the depth.")

tfnas_flags.define_from_config(DartsTraining)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.benchmarks.trained.darts.train_cell`."""
    tfnas.runtime.one_thread_per_operation()  # or a resumed run would differ in the last digits
    data = images.load_images(_DATA.value, image_size=_IMAGE_SIZE.value)  # a mistake shows before TensorFlow starts

    from tfnas.benchmarks.trained import darts as training
    from tfnas.networks import darts

    config = dataclasses.replace(TRAININGS[_TASK.value], **tfnas_flags.overrides(DartsTraining))
    skeleton = darts.IMAGENET if _TASK.value == "imagenet" else darts.CIFAR10
    changes = {"channels": _CHANNELS.value, "layers": _LAYERS.value, "auxiliary": _AUXILIARY.value}
    skeleton = dataclasses.replace(skeleton, **{name: value for name, value in changes.items() if value is not None})
    cell = darts.read_cell(_CELL.value)
    settings = {
        "program": "train_darts",
        "cell": _CELL.value,
        "data": data.fingerprint,
        "task": _TASK.value,
        "skeleton": dataclasses.asdict(skeleton),
        "training": dataclasses.asdict(config),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = training.train_cell(
        cell, data, skeleton, config, output_dir, hold_out=_TASK.value == "query", resume=flags.FLAGS.resume
    )
    score = f"test {config.metric.replace('_', ' ')} {summary[f'test_{config.metric}']:.2%}"
    print(f"{summary['parameters'] / 1e6:.3f} million parameters, {score}")


if __name__ == "__main__":
    tfnas_flags.run(main)

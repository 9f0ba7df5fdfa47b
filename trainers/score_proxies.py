"""Zero-cost scores of architectures of a space, or of .keras files.

  tfnas score_proxies --space=nasbench201 --count=500 --data=cifar10.npz --output_dir=OUT
  tfnas score_proxies --space=nasbench201 --architectures=cells.txt --data=cifar10.npz --output_dir=OUT
  tfnas score_proxies --model=my_model.keras --data=images.npz --output_dir=OUT

A model's scores have their percentiles among shipped cells of NAS-Bench-201. OUT gets scores.md and summary.json, of a
space also scores.npz (a compact table) and scores.jsonl. All cells of NAS-Bench-201 and all widths of NATS-Bench share
one compiled program; networks of other spaces are built one by one. A run that was killed goes on with --resume.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.benchmarks.trained import images
from tfnas.networks.registry import NETWORKS
from tfnas.proxies import PROXIES

_SPACE = flags.DEFINE_enum("space", None, list(NETWORKS), "Score architectures of this space.")
_COUNT = flags.DEFINE_integer("count", 500, "Number of architectures.", lower_bound=1)
_ARCHITECTURES = tfnas_flags.define_path(
    "architectures", None, "Text file of the architectures of the space to score, one per line, instead of random ones."
)
_WITHOUT_NONE = flags.DEFINE_boolean("without_none", False, "Leave out cells with the operation none.")
_MODEL = tfnas_flags.define_paths(
    "model", [], ".keras files, or folders of them, to score instead of a space; separated by commas."
)
_RAW_PIXELS = flags.DEFINE_boolean(
    "raw_pixels", None, "Feed models the pixels of --data, for models that preprocess; otherwise standardised ones."
)
_DATA = tfnas_flags.define_path("data", None, images.FORMATS, required=True)
_BATCH = flags.DEFINE_integer("batch_size", 64, "Images that a score is taken of.", lower_bound=2)
_PROXY = flags.DEFINE_list("proxies", list(PROXIES), f"Some of {', '.join(PROXIES)}.")
_SEED = flags.DEFINE_integer("seed", 1, "Decides architectures, initial weights and images.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.proxies.experiment`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas.proxies import experiment

    chosen = (_SPACE, _COUNT, _ARCHITECTURES, _WITHOUT_NONE, _MODEL, _DATA, _BATCH, _PROXY, _SEED, _RAW_PIXELS)
    settings = experiment.Settings(
        space=_SPACE.value,
        count=_COUNT.value,
        architectures=_ARCHITECTURES.value,
        without_none=_WITHOUT_NONE.value,
        models=tuple(_MODEL.value),
        data=_DATA.value,
        batch_size=_BATCH.value,
        proxies=tuple(_PROXY.value),
        seed=_SEED.value,
        raw_pixels=_RAW_PIXELS.value,
    )
    batch = images.batch_of_images(settings.data, settings.batch_size, settings.seed, raw=bool(settings.raw_pixels))
    output_dir = tfnas_flags.output_folder({"program": "score_proxies", **{flag.name: flag.value for flag in chosen}})
    print(experiment.run(settings, batch, output_dir))


if __name__ == "__main__":
    tfnas_flags.run(main)

"""Extracts data Jacobians of random architectures at initialisation.

  tfnas extract_jacobians --space=nasbench201 --count=2000 --data=cifar10.npz --output_dir=OUT

OUT/corpus gets sharded TFRecords with a manifest, the architectures and the images. All cells of NAS-Bench-201, and all
widths of NATS-Bench, share one compiled program; networks of other spaces are built one after the other. Networks run
side by side on all GPUs, or on all processor cores. A run that was killed goes on with --resume.
"""

import dataclasses

from absl import flags

from tfnas import flags as tfnas_flags
from tfnas.benchmarks.trained import images
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.networks.registry import NETWORKS
from tfnas.spaces import NASBench201

_SPACE = flags.DEFINE_enum("space", NASBench201.name, list(NETWORKS), "Random architectures of this space.")
_COUNT = flags.DEFINE_integer(
    "count", 2000, "Number of architectures; no two cells of nasbench201 compute the same function.", lower_bound=1
)
_DATA = tfnas_flags.define_path("data", None, images.FORMATS, required=True)
_IMAGES = flags.DEFINE_integer("num_images", 64, "N, images that Jacobians are taken of.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 1, "Decides architectures, initial weights and images.", lower_bound=0)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Networks side by side where there is no GPU; 0 for one per core.", lower_bound=0
)
tfnas_flags.define_from_config(JacobianConfig)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.jacobian.extract`."""
    config = JacobianConfig(**tfnas_flags.overrides(JacobianConfig))

    from tfnas.runtime import one_device_per_core

    one_device_per_core(_WORKERS.value)
    batch = images.batch_of_images(_DATA.value, _IMAGES.value, _SEED.value)

    from tfnas.encoders.jacobian import extract

    chosen = {flag.name: flag.value for flag in (_SPACE, _COUNT, _DATA, _IMAGES, _SEED)}
    settings = extract.Settings(**chosen, config=config)
    output_dir = tfnas_flags.output_folder({"program": "extract_jacobians", **dataclasses.asdict(settings)})
    print(extract.run(settings, batch, output_dir))


if __name__ == "__main__":
    tfnas_flags.run(main)

"""Converts official benchmark files to compact tables.

  tfnas convert_benchmark --kind=nasbench101 --source=nasbench_only108.tfrecord --output_dir=OUT
  tfnas convert_benchmark --kind=nats_tss --source=NATS-tss-v1_0-3ffb9-simple --output_dir=OUT \
      --allow_pickle

OUT gets nasbench101.npz, nasbench201.npz or nats_size.npz; make it your TFNAS_DATA_DIR. NATS-Bench archives are
pickles: numbers, strings and arrays are read from them and everything else is refused, and only with --allow_pickle.
"""

from absl import flags

from tfnas import flags as tfnas_flags
from tfnas.benchmarks.readers.registry import READERS

_KIND = flags.DEFINE_enum("kind", None, list(READERS), "Official file to convert.", required=True)
_SOURCE = tfnas_flags.define_path(
    "source", None, "The TFRecord file, or the folder of an unpacked archive.", required=True
)
tfnas_flags.define_from_rows({name: reader.config for name, reader in READERS.items()})
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.benchmarks.readers.registry.READERS`."""
    reader = READERS[_KIND.value]
    output_dir = tfnas_flags.output_folder(
        {"program": "convert_benchmark", "kind": _KIND.value, "source": _SOURCE.value}
    )
    values = tfnas_flags.overrides(*(row.config for row in READERS.values()))
    table = reader.convert(_SOURCE.value, output_dir, **values)
    print(f"{len(table):,} architectures with {len(table.columns)} columns in {output_dir / reader.file}.npz")


if __name__ == "__main__":
    tfnas_flags.run(main)

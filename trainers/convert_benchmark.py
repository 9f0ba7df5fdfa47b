"""Converts official benchmark files to compact tables.

  python -m trainers.convert_benchmark --kind=nasbench101 --source=nasbench_only108.tfrecord --output_dir=OUT
  python -m trainers.convert_benchmark --kind=nats_tss --source=NATS-tss-v1_0-3ffb9-simple --output_dir=OUT \
      --allow_pickle

OUT gets nasbench101.npz, nasbench201.npz or nats_size.npz; make it your TFNAS_DATA_DIR. NATS-Bench archives are
pickles: numbers, strings and arrays are read from them and everything else is refused, and only with --allow_pickle.
"""

from absl import flags

from tfnas import flags as tfnas_flags

_KIND = flags.DEFINE_enum("kind", None, ["nasbench101", "nats_tss", "nats_sss"], "What is converted.", required=True)
_SOURCE = flags.DEFINE_string("source", None, "The TFRecord file, or the folder of an unpacked archive.", required=True)
_RECORDS = flags.DEFINE_integer(
    "records", None, "Records that a NAS-Bench-101 file must hold; known for the official ones.", lower_bound=1
)
_ALLOW_PICKLE = flags.DEFINE_boolean("allow_pickle", False, "Read an archive of pickles.")
tfnas_flags.define_output()

_NAMES = {"nasbench101": "nasbench101", "nats_tss": "nasbench201", "nats_sss": "nats_size"}


def main() -> None:
    """Flags -> `convert` of `tfnas.benchmarks.readers.nasbench101` or `tfnas.benchmarks.readers.nats_bench`."""
    from tfnas.benchmarks.readers import nasbench101, nats_bench

    settings = {"program": "convert_benchmark", "kind": _KIND.value, "source": _SOURCE.value}
    output_dir = tfnas_flags.output_folder(settings)
    target = output_dir / f"{_NAMES[_KIND.value]}.npz"
    if _KIND.value == "nasbench101":
        table = nasbench101.convert(_SOURCE.value, target, _RECORDS.value)
    else:
        kind = _KIND.value.removeprefix("nats_")
        table = nats_bench.convert(_SOURCE.value, target, kind, allow_pickle=_ALLOW_PICKLE.value)
    print(f"{len(table):,} architectures with {len(table.columns)} columns in {target}")


if __name__ == "__main__":
    tfnas_flags.run(main)

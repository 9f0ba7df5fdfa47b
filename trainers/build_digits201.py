"""Makes the Digits-201 table: trains every NAS-Bench-201 cell on scikit-learn's digits.

  tfnas build_digits201 --output_dir=OUT

Of cells that compute the same function the first is trained, with three seeds. Takes about an hour on two cores; a
killed run goes on with --resume. OUT gets digits201.npz, digits201.png and summary.json.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_LIMIT = flags.DEFINE_integer(
    "limit", None, "Number of cells to train, drawn at random; by default all cells.", lower_bound=1
)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.benchmarks.trained.digits201.build`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas.benchmarks.trained import digits201

    settings = {"program": "build_digits201"}  # a run with a limit can be continued without
    output_dir = tfnas_flags.output_folder(settings)
    summary = digits201.build(output_dir, _LIMIT.value)
    tfnas.artefacts.write_json(output_dir / "summary.json", summary)
    print(f"{summary['trained_cells']:,} of {summary['distinct_cells']:,} cells in {output_dir / 'digits201.npz'}")


if __name__ == "__main__":
    tfnas_flags.run(main)

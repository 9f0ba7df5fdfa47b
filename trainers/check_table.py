"""Checks a compact table, or a published file that is read as a table, and says what it holds.

  tfnas check_table --table=digits201
  tfnas check_table --table=FILE.npz

Every architecture must be valid and present once, every hash right, every value in its range.
"""

import pathlib

from tfnas import flags as tfnas_flags

_TABLE = tfnas_flags.define_path("table", None, "An .npz file, or the name of a table that tfnas knows.", required=True)


def main() -> None:
    """Flags -> `tfnas.benchmarks.table.check_table`."""
    from tfnas.benchmarks import registry
    from tfnas.benchmarks.table import check_table, read_table
    from tfnas.errors import CorruptArtefactError
    from tfnas.reports import tables

    named = _TABLE.value.endswith(".npz") or pathlib.Path(_TABLE.value).exists()
    path = pathlib.Path(_TABLE.value) if named else registry.find_table(_TABLE.value)
    table = read_table(path)
    try:
        report = check_table(table)
    except CorruptArtefactError as error:
        raise CorruptArtefactError(f"{path}: {error}") from error
    print(f"{path}: {report['rows']:,} {report['space']} architectures, all valid, distinct and rightly hashed")
    rows = [
        [
            name,
            f"{column['smallest']:.6g}",
            f"{column['largest']:.6g}",
            f"{column['missing']:.2%}",
            column["largest_at"],
        ]
        for name, column in sorted(report["columns"].items())
    ]
    print(tables.markdown(["column", "smallest", "largest", "share missing", "largest at"], rows))


if __name__ == "__main__":
    tfnas_flags.run(main)

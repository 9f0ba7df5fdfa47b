"""Injects faults and prints a table of what happened.

  python -m perf.faults [--only=server_sizes,...] [--share=0.1] [--names="colour encoder;motif encoder"]

The exit code is 1 if a bound of the table is not kept.
"""

import argparse
import os
import sys

from perf.faults.registry import CHECKS, NAMED
from perf.faults.table import HEADER, printed


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CHECKS), help="names of checks, separated by commas")
    parser.add_argument("--share", default=1.0, type=float, help="share of the tries of each check")
    parser.add_argument(
        "--names", default="", help="programs, binaries or kinds of artefacts to make tries of, separated by semicolons"
    )
    arguments = parser.parse_args()
    checks, names = arguments.only.split(","), [name for name in arguments.names.split(";") if name]
    if names and not NAMED.issuperset(checks):
        parser.error(f"--names belongs to {', '.join(sorted(NAMED))}")
    # Small programs run once or twice: XLA's optimisation takes more time than it saves.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    print(HEADER)
    chosen = {"names": names} if names else {}
    rows = [row for name in checks for row in printed(CHECKS[name](arguments.share, **chosen))]
    sys.exit(not all(row.held for row in rows))


if __name__ == "__main__":
    main()

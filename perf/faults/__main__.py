"""Injects faults and prints a table of what happened.

  python -m perf.faults [--only=server_sizes,...] [--share=0.1]

The exit code is 1 if a bound of the table is not kept.
"""

import argparse
import sys

from perf.faults.registry import CHECKS
from perf.faults.table import HEADER, printed


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CHECKS), help="names of checks, separated by commas")
    parser.add_argument("--share", default=1.0, type=float, help="share of the tries of each check")
    arguments = parser.parse_args()
    print(HEADER)
    rows = [row for name in arguments.only.split(",") for row in printed(CHECKS[name](arguments.share))]
    sys.exit(not all(row.held for row in rows))


if __name__ == "__main__":
    main()

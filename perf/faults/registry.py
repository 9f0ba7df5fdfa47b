"""All checks by name."""

from collections.abc import Callable, Iterator

from perf.faults import server
from perf.faults.table import Row

CHECKS: dict[str, Callable[[float], Iterator[Row]]] = {
    "server_mutations": server.mutations,
    "server_sizes": server.oversized_bodies,
}
"""Functions that inject faults, by name; each takes the share of its tries to make, 1 for all, and gives rows."""

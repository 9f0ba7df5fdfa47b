"""All checks by name."""

from collections.abc import Callable, Iterator

from perf.faults import artefacts, availability, clocks, load, runs, server
from perf.faults.table import Row

CHECKS: dict[str, Callable[..., Iterator[Row]]] = {
    "server_mutations": server.mutations,
    "server_sizes": server.oversized_bodies,
    "server_load": load.clients,
    "server_large_bodies": availability.large_bodies,
    "server_broken_off": availability.broken_off,
    "damaged_artefacts": artefacts.damaged_artefacts,
    "forged_artefacts": artefacts.forged_artefacts,
    "forged_manifests": artefacts.forged_manifests,
    "killed_runs": runs.killed_runs,
    "clocks_that_go_back": clocks.clocks_that_go_back,
    "interrupted_binaries": runs.interrupted_binaries,
    "shared_folders": runs.shared_folders,
    "full_disks": runs.full_disks,
    "odd_places": runs.odd_places,
}
"""Functions that inject faults, by name; each takes the share of its tries to make, 1 for all, and gives rows."""
NAMED = {
    *("damaged_artefacts", "forged_artefacts", "forged_manifests"),
    *("killed_runs", "clocks_that_go_back", "interrupted_binaries"),
}
"""Checks that also take `names` of what is tried, by default of all."""

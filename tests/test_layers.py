"""Imports only ever point down the list of folders; no module needs itself."""

import ast
import functools
import pathlib

import networkx as nx

from tests.fork import ROOT

# From the top of the house to its ground, as DESIGN.md lists it; what stands in one row is on one floor.
FLOORS = (
    ("reproductions",),
    ("trainers",),
    ("tfnas.api",),
    ("tfnas.search",),
    ("tfnas.predictors",),
    ("tfnas.retrieval",),
    ("tfnas.encoders",),
    ("tfnas.proxies",),
    ("tfnas.corpora",),
    ("tfnas.benchmarks",),
    ("tfnas.networks",),
    ("tfnas.graphs",),
    ("tfnas.serving",),
    ("tfnas.saved_models",),
    ("tfnas.saved_model_operations",),
    ("tfnas.training",),
    ("tfnas.spaces",),
    ("tfnas.flags",),
    ("tfnas.sealed_lines",),
    ("tfnas.artefacts", "tfnas.settings"),
    ("tfnas.archives", "tfnas.typed"),
    ("tfnas.processes",),
    ("tfnas.errors", "tfnas.preloading", "tfnas.runtime", "tfnas.reports"),
)


def modules() -> dict[str, pathlib.Path]:
    """Every module of the library, the binaries and the reproductions by its dotted name."""
    paths = [path for top in ("tfnas", "trainers", "reproductions") for path in (ROOT / top).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


MODULES = modules()


@functools.cache
def imports_of(name: str) -> frozenset[str]:
    """Modules of this repository that a module imports, at its top, in functions and for annotations alike."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            candidates = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for candidate in candidates:
            while candidate and candidate not in MODULES:
                candidate = candidate.rpartition(".")[0]
            imported.add(candidate)
    return frozenset(imported - {"", "tfnas", name})


def floor(name: str) -> int | None:
    """How high a module stands, 0 for the ground; None for the package `tfnas` itself."""
    for height, row in enumerate(reversed(FLOORS)):
        if any(name == folder or name.startswith(f"{folder}.") for folder in row):
            return height
    return None


def folder(name: str) -> str:
    """The entry of `FLOORS` that holds a module."""
    return next(entry for row in FLOORS for entry in row if name == entry or name.startswith(f"{entry}."))


def test_imports_point_down():
    names = sorted(MODULES.keys() - {"tfnas"})
    homeless = [name for name in names if floor(name) is None]
    assert not homeless, "modules that stand on no floor"
    up = [
        f"{name} imports {other}"
        for name in names
        for other in sorted(imports_of(name))
        if folder(other) != folder(name) and floor(other) >= floor(name)
    ]
    assert not up


def test_nothing_imports_the_reproductions():
    for name in MODULES:
        if not name.startswith("reproductions"):
            assert not any(other.startswith("reproductions") for other in imports_of(name)), name


def test_no_circles():
    graph = nx.DiGraph((name, other) for name in MODULES for other in imports_of(name))
    circles = [circle for circle in nx.strongly_connected_components(graph) if len(circle) > 1]
    assert not circles


def test_an_import_against_the_arrows_is_seen():
    """The test above would notice: the ground is below everything, and functions' imports count."""
    assert floor("tfnas.reports.figures") < floor("tfnas.spaces.base") < floor("trainers.search")
    assert "tfnas.reports.diagrams" in imports_of("tfnas.spaces.base")

"""A computation graph as a web page without other files: groups that fold, a search, facts of every operator."""

import collections
import dataclasses
import html
import json
import pathlib

from tfnas import artefacts
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.scopes import Scopes, name_scopes, repetition_scopes
from tfnas.graphs.summary import activations, totals_text
from tfnas.reports import palette

_VIEWER = pathlib.Path(__file__).with_name("viewer")
_FEW = 60
"""Most boxes that the page shows before a reader unfolds groups."""
_MOST_MEMBERS = 60
"""Most members of a group on a page on which names of layers are the first grouping that a reader sees."""
_BODY = """
<header><h1></h1>
<input id="search" type="search" placeholder="Search layers and operators (/)" aria-label="Search">
<label>Group by <select id="modes"></select></label>
<button id="fold">Fold all</button><button id="unfold">Unfold all</button>
<button id="smaller" aria-label="Smaller">\N{MINUS SIGN}</button><button id="larger" aria-label="Larger">+</button>
<button id="fit">Fit</button></header>
<svg id="graph" role="img" aria-label="Computation graph"><defs>
<marker id="head" orient="auto" markerUnits="userSpaceOnUse" markerWidth="8" markerHeight="8" refX="7" refY="4">
<path d="M0,0L8,4L0,8Z"/></marker></defs>
<g id="stage"></g></svg>
"""


def page(graph: ComputationGraph) -> str:
    """A page on which a reader moves through the graph.

    The page reads nothing from elsewhere. Names that come from the model stand in it as text alone.

    Args:
      graph: graph to show.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> page(smallest_graph()).startswith("<!doctype html>")
      True
    """
    script = "\n".join((_VIEWER / name).read_text(encoding="utf-8") for name in ("layout.js", "viewer.js"))
    title = html.escape(graph.name or "model")
    return "\n".join(
        [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "<meta http-equiv='Content-Security-Policy' "
            "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
            "<meta name='viewport' content='width=device-width, initial-scale=1'>",
            f"<title>{title}</title><style>{(_VIEWER / 'viewer.css').read_text(encoding='utf-8')}</style></head><body>",
            _BODY.replace("<h1>", f"<h1>{title}"),
            "<aside><div id='facts'></div><div id='hits'></div>",
            f"<h2>Totals</h2>{_summary(graph)}{_legend(graph)}</aside>",
            f"<script>const DATA = {_data(graph)};\n{script}</script></body></html>\n",
        ]
    )


def write_page(graph: ComputationGraph, path: artefacts.PathLike) -> None:
    """Writes the page of a graph; see `page`."""
    artefacts.write_text(path, page(graph))


def _summary(graph: ComputationGraph) -> str:
    lines = [line for line in totals_text(graph).splitlines() if line]
    return "".join(
        f"<p class='note'>{html.escape(line)}</p>" if line.startswith("note: ") else f"<p>{html.escape(line)}</p>"
        for line in lines
    )


def _legend(graph: ComputationGraph) -> str:
    used = {palette.family(name) for name in set(graph.operator_names)}
    swatches = (
        f"<span><i style='background:{colour}'></i>{html.escape(family)}</span>"
        for family, (colour, _) in palette.FAMILIES.items()
        if family in used
    )
    return f"<h2>Colours</h2><div id='legend'>{''.join(swatches)}</div>"


def _data(graph: ComputationGraph) -> str:
    """What the script draws, as JSON that no name in it can leave."""
    names = graph.operator_names
    families = list(palette.FAMILIES)
    columns = zip(
        names,
        graph.layers or [""] * graph.num_nodes,
        graph.kernels.tolist(),
        graph.shapes.tolist(),
        graph.bias.tolist(),
        graph.parameters.tolist(),
        graph.multiply_adds.tolist(),
        activations(graph).tolist(),
        strict=True,
    )
    nodes = [
        {
            "operator": name,
            "layer": layer,
            "kernel": kernel,
            "input": shape[0::2],
            "output": shape[1::2],
            "bias": bias,
            "parameters": parameters,
            "products": products,
            "activations": numbers,
            "colour": families.index(palette.family(name)),
        }
        for name, layer, kernel, shape, bias, parameters, products, numbers in columns
    ]
    trees = {
        "names of layers": name_scopes(graph),
        "repeated blocks": repetition_scopes(graph),
        "nothing": Scopes((), (-1,) * graph.num_nodes),
    }
    by_name = trees["names of layers"]
    members = collections.Counter([*by_name.home, *(outer for _, outer in by_name.groups)])
    data = {
        "nodes": nodes,
        "edges": graph.edges.tolist(),
        "colours": [colour for colour, _ in palette.FAMILIES.values()],
        "trees": {name: dataclasses.asdict(tree) for name, tree in trees.items()},
        "first": "names of layers" if max(members.values(), default=0) <= _MOST_MEMBERS else "repeated blocks",
        "few": _FEW,
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")

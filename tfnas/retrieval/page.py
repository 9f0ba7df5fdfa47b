"""The answer to a query as a web page without other files: a map, what is shared and what differs, drawings."""

import base64
import collections
import html
import json
import pathlib

import numpy as np
import threadpoolctl

from tfnas import artefacts
from tfnas.graphs.boxes import Boxes
from tfnas.graphs.svg import svg
from tfnas.reports.planes import PrincipalPlane
from tfnas.retrieval.answer import Answer, Relative, unlike_words
from tfnas.retrieval.evidence import Surroundings
from tfnas.retrieval.index import Index

_VIEWER = pathlib.Path(__file__).with_name("viewer")
_DRAWN = 3
_MAP_SIZE, _MAP_MARGIN = 420, 30
_FAMILIES_NAMED = 14
_COLOURS = (
    "#4269d0 #efb118 #ff725c #6cc5b0 #3ca951 #ff8ab7 #a463f2 #97bbf5 #9c6b4e #7a8b99 #1f77b4 #bcbd22 #d62728 #17becf"
)


def write_page(answer: Answer, index: Index, path: artefacts.PathLike) -> None:
    """Writes the page.

    Args:
      answer: answer to a query.
      index: index that answered.
      path: file of the page.
    """
    name = html.escape(str(answer.query.names[0]))
    kinds = [", ".join(kind) for kind in answer.kinds]
    warnings = [f"<p class='unlike'>{html.escape(line)}</p>" for line in unlike_words(answer)]
    elements = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Relatives of {name}</title>",
        f"<style>{(_VIEWER / 'page.css').read_text(encoding='utf-8')}</style></head><body>",
        f"<h1>Relatives of {name}</h1>",
        f"<p>{answer.query.graphs.num_nodes[0]:,} operators, {_millions(int(answer.query.parameters[0]))} parameters; "
        f"compared with {len(index):,} architectures. Click a relative for what differs.</p>",
        *warnings,
        "<div class='columns'><div>",
        _map(),
        "<p><small>All architectures of the index: first two principal components of the embeddings, with the "
        "largest families named. The star is the query, blue are its relatives. The wheel zooms, dragging moves, a "
        "click lights the family of a dot.</small></p></div><div>",
        _table(answer),
        "</div></div>",
        "<div id='told'>Point at a motif or at a dot of the map.</div>",
        "<h2>What they share</h2>",
        "<p>Sequences of operators that the query and a relative hold, from input to output; grey lies between.</p>",
        _strip(name, answer.pieces, answer.sizes),
        *(_strip(relative.name, relative.pieces, relative.sizes) for relative in answer.relatives),
        f"<h2>Side by side</h2><p>The first {_DRAWN} relatives. A thick outline marks operators that the other network "
        "does not have beside the same neighbours.</p>",
        *_drawings(answer, index),
        f"<script>const kinds = {_json(kinds)};\nconst map = {_json(_points(answer, index))};\n",
        f"{(_VIEWER / 'page.js').read_text(encoding='utf-8')}</script></body></html>",
    ]
    with artefacts.atomic_file(path) as file:
        file.write("\n".join(elements).encode())


def _json(value: object) -> str:
    """A value as JSON that no name in it can leave."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count else "unknown"


def _table(answer: Answer) -> str:
    rows = []
    for rank, relative in enumerate(answer.relatives, start=1):
        lines = ["same structure"] * relative.same_structure + list(relative.differences)
        if relative.twins:
            lines.append(f"also {', '.join(twin.name for twin in relative.twins)}")
        rows.append(
            f"<tr class='relative' data-rank='{rank}'><td class='number'>{rank}</td>"
            f"<td>{html.escape(relative.name)}<br><small>{html.escape(relative.family)}</small>{_list(lines)}</td>"
            f"<td class='number'>{100 * relative.similarity:.0f} %<div class='bar'>"
            f"<i style='width:{100 * relative.similarity:.1f}%'></i></div></td>"
            f"<td class='number'>{100 * relative.covered:.0f} %</td>"
            f"<td class='number'>{relative.operators:,}</td>"
            f"<td class='number'>{_millions(relative.parameters)}</td></tr>"
        )
    head = "<tr><th></th><th>architecture</th><th class='number'>similarity</th><th class='number'>shared</th>"
    head += "<th class='number'>operators</th><th class='number'>parameters</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _list(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _points(answer: Answer, index: Index) -> dict[str, object]:
    """What the script draws: points of the index, ranks of relatives by row, and places of names of families."""
    with threadpoolctl.threadpool_limits(1):  # idle threads of NumPy would wait in loops that take processor time
        plane = PrincipalPlane(index.embeddings)
    points = plane.points(np.concatenate([answer.embedding[None], index.embeddings]))
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - low) / np.maximum(high - low, 1e-9) * (_MAP_SIZE - 2 * _MAP_MARGIN) + _MAP_MARGIN
    families, family = np.unique(index.families, return_inverse=True)
    counts = collections.Counter(family.tolist())
    largest = [number for number, _ in counts.most_common() if families[number]][:_FAMILIES_NAMED]
    medians = [np.median(points[1:][family == number], axis=0).round(1).tolist() for number in largest]
    columns = zip(points[1:].round(1).tolist(), family.tolist(), index.names.tolist(), strict=True)
    return {
        "query": points[0].round(1).tolist(),
        "points": [[*point, number, name] for point, number, name in columns],
        "families": families.tolist(),
        "labels": [[*median, number] for median, number in zip(medians, largest, strict=True)],
        "ranks": {relative.match.row: rank for rank, relative in enumerate(answer.relatives, start=1)},
    }


def _map() -> str:
    star = "M" + "L".join(
        f"{radius * np.sin(angle):.1f},{-radius * np.cos(angle):.1f}"
        for angle, radius in zip(np.arange(10) * np.pi / 5, (14, 6) * 5, strict=True)
    )
    return f"<svg class='map' viewBox='0 0 {_MAP_SIZE} {_MAP_SIZE}'><path d='{star}Z'/></svg>"


def _strip(name: str, pieces: np.ndarray, sizes: np.ndarray) -> str:
    colours = _COLOURS.split()
    spans = []
    for kind, size in zip(pieces.tolist(), sizes.tolist(), strict=True):
        colour = f";background:{colours[kind % len(colours)]}" if kind >= 0 else ""
        spans.append(f"<span data-kind='{kind}' style='flex-grow:{size}{colour}'></span>")
    return f"<div class='row'><b>{html.escape(name)}</b><div class='strip'>{''.join(spans)}</div></div>"


def _drawings(answer: Answer, index: Index) -> list[str]:
    """The query beside each of the first relatives."""
    relatives: list[Relative] = list(answer.relatives[:_DRAWN])
    query, shown = answer.query, index.collection[np.array([relative.match.row for relative in relatives])]
    first, compared = Surroundings(query.graphs), Surroundings(shown.graphs)
    graph = query.graph(0)
    boxes = Boxes(graph)
    drawings = []
    for row in range(len(relatives)):
        other = shown.graph(row)
        sides = ((graph, boxes, first.alone(0, row, compared)), (other, other, compared.alone(row, 0, first)))
        figures = []
        for network, drawn, alone in sides:
            size = f"{network.num_nodes:,} operators, {_millions(network.total_parameters)} parameters"
            title = html.escape(f"{network.name}: {size}")
            picture = base64.b64encode(svg(drawn, np.flatnonzero(alone).tolist()).encode()).decode()
            figures.append(
                f"<figure><figcaption>{title}</figcaption><div class='scroll'>"
                f"<img alt='{title}' src='data:image/svg+xml;base64,{picture}'></div></figure>"
            )
        drawings.append(f"<div class='pair' data-rank='{row + 1}'><div class='sides'>{''.join(figures)}</div></div>")
    return drawings

"""The answer to a query as a web page without other files: a map, motifs side by side, drawings."""

import base64
import html
import json
from collections.abc import Sequence

import numpy as np

from tfnas import artefacts
from tfnas.graphs.svg import svg
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index
from tfnas.retrieval.relatives import Answer, Relative

_DRAWN = 3
_MAP_SIZE = 420
_COLOURS = (
    "#4269d0 #efb118 #ff725c #6cc5b0 #3ca951 #ff8ab7 #a463f2 #97bbf5 #9c6b4e #7a8b99 #1f77b4 #bcbd22 #d62728 #17becf"
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --soft: #687086; --line: #d9dde6; --paper: #fff; --panel: #f6f7fa;
  --accent: #4269d0; --other: #c9ced9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --soft: #a0a8ba; --line: #3a4152; --paper: #161a22;
  --panel: #1f2530; --accent: #8fabf5; --other: #4a5263; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1180px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p { color: var(--soft); }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.relative { cursor: pointer; } tr.relative:hover, tr.chosen { background: var(--panel); }
.bar { height: 6px; border-radius: 3px; background: var(--line); min-width: 70px; }
.bar i { display: block; height: 6px; border-radius: 3px; background: var(--accent); }
.strip { display: flex; height: 26px; gap: 1px; overflow: hidden; border-radius: 4px; }
.strip span { flex: 1 1 0; min-width: 1px; background: var(--other); }
.strip span.lit { outline: 2px solid var(--ink); outline-offset: -2px; }
.row { display: grid; grid-template-columns: 17rem 1fr; gap: .8rem; align-items: center; margin: .3rem 0; }
.row b { font-weight: 600; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: minmax(0, 26rem) 1fr; gap: 1.5rem; align-items: start; }
@media (max-width: 800px) { .columns, .row { grid-template-columns: 1fr; } }
svg.map { background: var(--panel); border-radius: 6px; width: 100%; height: auto; }
.map circle { fill: var(--other); fill-opacity: .7; }
.map circle.relative { fill: var(--accent); fill-opacity: .75; cursor: pointer; }
.map circle.chosen { stroke: var(--ink); stroke-width: 2.5; }
.map path { fill: #ff725c; stroke: var(--paper); }
.map text { fill: var(--ink); font-size: 12px; }
#told { min-height: 3.2em; color: var(--ink); background: var(--panel); border-radius: 6px; padding: .4rem .7rem; }
.scroll { overflow: auto; max-height: 640px; border: 1px solid var(--line); border-radius: 6px; background: #fff; }
.scroll img { display: block; } small { color: var(--soft); } details { margin: .6rem 0; }
summary { cursor: pointer; font-weight: 600; }
"""
_SCRIPT = """
const told = document.getElementById('told');
const choose = rank => document.querySelectorAll('[data-rank]').forEach(
  element => element.classList.toggle('chosen', element.dataset.rank === rank));
document.querySelectorAll('[data-rank]').forEach(element =>
  element.addEventListener('click', () => choose(element.dataset.rank)));
document.querySelectorAll('.strip span').forEach(element => {
  element.addEventListener('mouseenter', () => {
    const kind = element.dataset.kind;
    document.querySelectorAll('.strip span').forEach(other =>
      other.classList.toggle('lit', kind !== '-1' && other.dataset.kind === kind));
    told.textContent = kinds[kind] || 'operators between motifs of the query';
  });
});
document.querySelectorAll('.map circle').forEach(element => element.addEventListener('mouseenter', () => {
  told.textContent = element.querySelector('title').textContent;
}));
choose('1');
"""


def write_page(answer: Answer, index: Index, path: artefacts.PathLike) -> None:
    """Writes the page.

    Args:
      answer: relatives of a query.
      index: index that the answer comes from.
      path: file of the page.
    """
    name = str(answer.query.names[0])
    kinds = [" \u2192 ".join(kind) for kind in answer.kinds]
    elements = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Relatives of {html.escape(name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Relatives of {html.escape(name)}</h1>",
        f"<p>{int(answer.query.graphs.num_nodes[0]):,} operators in {len(answer.pieces):,} motifs, "
        f"{_millions(int(answer.query.parameters[0]))} parameters; searched among {len(index):,} architectures.</p>",
        "<div class='columns'><div>",
        _map(answer),
        "<p><small>The query (star), the relatives of the table (blue) and further near architectures (grey): first "
        "two principal components of the embeddings.</small></p></div><div>",
        _table(answer),
        "</div></div>",
        "<h2>What they share</h2>",
        "<p>The query's motifs from input to output, and where the relatives hold them; grey is what lies between.</p>"
        "<div id='told'>Point at a motif or at a dot of the map.</div>",
        _strip(name, answer.pieces, answer.sizes),
        *(_strip(relative.name, relative.pieces, relative.sizes) for relative in answer.relatives),
        "<h2>Drawings</h2>",
        *_drawings(answer, index),
        f"<script>const kinds = {json.dumps(kinds).replace('<', chr(92) + 'u003c')};{_SCRIPT}</script>",
        "</body></html>",
    ]
    with artefacts.atomic_file(path) as file:
        file.write("\n".join(elements).encode())


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count else "unknown"


def _table(answer: Answer) -> str:
    rows = []
    for rank, relative in enumerate(answer.relatives, start=1):
        match = relative.match
        rows.append(
            f"<tr class='relative' data-rank='{rank}'><td class='number'>{rank}</td>"
            f"<td>{html.escape(match.name)}<br><small>{html.escape(match.family)}</small></td>"
            f"<td class='number'>{match.similarity:.3f}<div class='bar'>"
            f"<i style='width:{100 * max(match.similarity, 0):.1f}%'></i></div></td>"
            f"<td class='number'>{100 * relative.covered:.0f} %</td>"
            f"<td class='number'>{relative.operators:,}</td>"
            f"<td class='number'>{_millions(relative.parameters)}</td></tr>"
        )
    head = "<tr><th></th><th>architecture</th><th class='number'>similarity</th><th class='number'>shared</th>"
    head += "<th class='number'>operators</th><th class='number'>parameters</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _map(answer: Answer) -> str:
    low, high = answer.points.min(axis=0), answer.points.max(axis=0)
    scale = (_MAP_SIZE - 60) / max(float((high - low).max()), 1e-9)
    points = (answer.points - (low + high) / 2) * scale + _MAP_SIZE / 2
    ranks = {relative.match.row: rank for rank, relative in enumerate(answer.relatives, start=1)}
    dots = []
    for match, (x, y) in reversed(list(zip(answer.neighbours, points[1:], strict=True))):
        rank = ranks.get(match.row)
        chosen = f"class='relative' data-rank='{rank}' r='6'" if rank else "r='3.5'"
        label = html.escape(f"{match.name} ({match.family}), similarity {match.similarity:.3f}")
        dots.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' {chosen}><title>{label}</title></circle>")
    x, y = points[0]
    star = "M" + "L".join(
        f"{x + radius * np.sin(angle):.1f},{y - radius * np.cos(angle):.1f}"
        for angle, radius in zip(np.arange(10) * np.pi / 5, (14, 6) * 5, strict=True)
    )
    return f"<svg class='map' viewBox='0 0 {_MAP_SIZE} {_MAP_SIZE}'>{''.join(dots)}<path d='{star}Z'/></svg>"


def _strip(name: str, pieces: np.ndarray, sizes: np.ndarray) -> str:
    colours = _COLOURS.split()
    spans = []
    for kind, size in zip(pieces.tolist(), sizes.tolist(), strict=True):
        colour = f";background:{colours[kind % len(colours)]}" if kind >= 0 else ""
        spans.append(f"<span data-kind='{kind}' style='flex-grow:{size}{colour}'></span>")
    return f"<div class='row'><b>{html.escape(name)}</b><div class='strip'>{''.join(spans)}</div></div>"


def _drawings(answer: Answer, index: Index) -> list[str]:
    relatives: Sequence[Relative] = answer.relatives[:_DRAWN]
    shown: list[tuple[Collection, int]] = [(answer.query, 0)]
    shown += [(index.collection, relative.match.row) for relative in relatives]
    drawings = []
    for number, (collection, row) in enumerate(shown):
        graph = collection.graph(row)
        size = f"{graph.num_nodes:,} operators, {_millions(graph.total_parameters)} parameters"
        title = html.escape(f"{collection.names[row]}: {size}")
        picture = base64.b64encode(svg(graph).encode()).decode()
        drawings.append(
            f"<details{' open' if number == 0 else ''}><summary>{title}</summary><div class='scroll'>"
            f"<img alt='{title}' src='data:image/svg+xml;base64,{picture}'></div></details>"
        )
    return drawings

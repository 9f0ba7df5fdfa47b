"""A comparison of strategies with its table and figures: what `trainers.search` and the demo call."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks import Evaluator
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.encoders.arch2vec.saved import SavedCellEncoder, read_embedding_table
from tfnas.reports import figures
from tfnas.search import get_strategy, loop
from tfnas.search.base import Candidates, Strategy
from tfnas.search.engines import Engine
from tfnas.search.open_candidates import OpenCandidates


def candidates_of(
    evaluator: Evaluator,
    encoder: SavedCellEncoder,
    embeddings: artefacts.PathLike | None = None,
    *,
    with_latents: bool = False,
) -> Candidates:
    """What a search chooses from: an embedding table, the rows of the benchmark's table, or the whole space.

    Args:
      evaluator: the benchmark.
      encoder: embeds what is not embedded yet.
      embeddings: table that `trainers.embed` wrote.
      with_latents: compute what the embeddings are pooled from too.

    Raises:
      ConfigurationError: the space can't be listed, and nothing lists candidates.
      MismatchError: encoder, embeddings and benchmark don't belong together.
    """
    encoder.check_space(evaluator.space)
    if embeddings is not None:
        cells, points = read_embedding_table(embeddings, encoder)
    else:
        cells = evaluator.table.cells if isinstance(evaluator, TableEvaluator) else evaluator.space.enumerate()
        points = encoder.embed(cells)
    return Candidates(evaluator.space, cells, points, encoder.latents(cells) if with_latents else None)


def compare(
    names: Sequence[str],
    candidates: Candidates | OpenCandidates,
    evaluator: Evaluator,
    output_dir: pathlib.Path,
    *,
    queries: int,
    runs: int,
    seed: int,
    benchmark: str,
    make: Callable[[str, Candidates, Sequence[int]], Strategy] = get_strategy,
    engine: Engine | None = None,
    asynchronous: bool = False,
) -> dict[str, Any]:
    """Runs strategies, prints the table, and draws.

    Writes `results.json`, `metrics.jsonl` (a line per run), `summary.json`, `results.md`, `search.png` (curves),
    `map.png` (where in the embedding space the queries went; not for open candidates) and `best_cell.png`.

    Args:
      names: strategies.
      candidates: what they choose from.
      evaluator: the benchmark.
      output_dir: an existing folder.
      queries: budget of every run.
      runs: runs per strategy.
      seed: of the first run.
      benchmark: the evaluator's name, for titles.
      make: gives the strategy of a name, for candidates and seeds.
      engine: see `loop.run_search`.
      asynchronous: see `loop.run_search`.

    Returns:
      The summary.
    """
    histories = loop.run_experiment(
        names,
        candidates,
        evaluator,
        output_dir,
        queries=queries,
        runs=runs,
        seed=seed,
        make=make,
        engine=engine,
        asynchronous=asynchronous,
    )
    summary = loop.summarise(histories)
    table = loop.search_table(summary)
    records = [
        {"strategy": name, "seed": seed + run, "validation": validation, "test": test, "seconds": seconds}
        for name, history in histories.items()
        for run, (validation, test, seconds) in enumerate(
            zip(
                history.at_best(history.scores.validation).tolist(),
                history.at_best(history.scores.test).tolist(),
                history.scores.cost_seconds.sum(axis=1).tolist(),
                strict=True,
            )
        )
    ]
    space = candidates.space
    best = max(records, key=lambda record: record["validation"])
    history, run = histories[best["strategy"]], best["seed"] - seed
    best_row = int(history.at_best(history.rows)[run])
    best_name = space.to_string(candidates.architecture(best_row))
    rows, first = np.unique(np.concatenate([history.rows.ravel() for history in histories.values()]), return_index=True)
    scores = np.concatenate([history.scores.validation.ravel() for history in histories.values()])[first]
    curves = {name: history.scores.validation for name, history in histories.items()}
    figures.search_curves(curves, output_dir / "search.png", title=f"{space.name} on {benchmark}")
    if not isinstance(candidates, OpenCandidates):  # which have no embeddings
        figures.embedding_map(
            candidates.embeddings,
            rows,
            scores,
            output_dir / "map.png",
            title=f"{space.name}: {len(rows):,} cells queried",
        )
    best_cell = candidates.architecture(best_row)
    figures.draw_architecture(
        best_cell.operations,
        best_cell.edges,
        output_dir / "best_cell.png",
        title=f"{best_name}\nvalidation {best['validation']:.2%}, test {best['test']:.2%}",
    )
    artefacts.write_json_lines(output_dir / "metrics.jsonl", records)
    with artefacts.atomic_file(output_dir / "results.md") as file:
        file.write((table + "\n").encode())
    artefacts.write_json(
        output_dir / "summary.json",
        {
            "space": space.name,
            "benchmark": benchmark,
            "candidates": candidates.met if isinstance(candidates, OpenCandidates) else len(candidates),
            "seed": seed,
            "strategies": summary,
            "best": {"architecture": best_name} | {key: best[key] for key in ("strategy", "validation", "test")},
        },
    )
    print(table)
    return summary

"""A comparison of strategies with its table and figures: what `trainers.search` and the demo call."""

import pathlib
from typing import Any

from tfnas import artefacts
from tfnas.benchmarks import Evaluator
from tfnas.reports import figures, tables
from tfnas.search import loop
from tfnas.search.base import Candidates


def compare(
    names: list[str],
    candidates: Candidates,
    evaluator: Evaluator,
    output_dir: pathlib.Path,
    *,
    queries: int,
    runs: int,
    seed: int,
    benchmark: str,
) -> dict[str, Any]:
    """Runs strategies, prints the table, and draws.

    Writes `results.json`, `metrics.jsonl` (a line per run), `summary.json`, `results.md`, `search.png` (curves),
    `map.png` (where in the embedding space the queries went) and `best_cell.png`.

    Args:
      names: strategies.
      candidates: what they choose from.
      evaluator: the benchmark.
      output_dir: an existing folder.
      queries: budget of every run.
      runs: runs per strategy.
      seed: of the first run.
      benchmark: the evaluator's name, for titles.

    Returns:
      The summary.
    """
    results = loop.run_experiment(names, candidates, evaluator, output_dir, queries=queries, runs=runs, seed=seed)
    summary = loop.summarise(results)
    table = tables.search_table(summary)
    records = [
        {"strategy": name, "seed": seed + run, **{key: result[key][run] for key in ("validation", "test", "seconds")}}
        for name, result in results.items()
        for run in range(runs)
    ]
    space = candidates.space
    name, run = max(((n, r) for n in names for r in range(runs)), key=lambda nr: results[nr[0]]["validation"][nr[1]])
    best_validation, best_test = results[name]["validation"][run], results[name]["test"][run]
    found = [
        (row, score)
        for result in results.values()
        for rows, scores in zip(result["rows"], result["scores"], strict=True)
        for row, score in zip(rows, scores, strict=True)
    ]
    best_row = max(found, key=lambda pair: pair[1])[0]
    figures.search_curves(results, output_dir / "search.png", title=f"{space.name} on {benchmark}")
    figures.embedding_map(
        candidates.embeddings,
        [row for row, _ in found],
        [score for _, score in found],
        output_dir / "map.png",
        title=f"{space.name}: {len(set(found)):,} cells trained",
    )
    figures.draw_architecture(
        candidates.architecture(best_row),
        output_dir / "best_cell.png",
        title=f"{results[name]['best'][run]}\nvalidation {best_validation:.2%}, test {best_test:.2%}",
    )
    artefacts.write_json_lines(output_dir / "metrics.jsonl", records)
    with artefacts.atomic_file(output_dir / "results.md") as file:
        file.write((table + "\n").encode())
    artefacts.write_json(
        output_dir / "summary.json",
        {
            "space": space.name,
            "benchmark": benchmark,
            "candidates": len(candidates),
            "seed": seed,
            "strategies": summary,
            "best": {
                "architecture": results[name]["best"][run],
                "strategy": name,
                "validation": best_validation,
                "test": best_test,
            },
        },
    )
    print(table)
    return summary

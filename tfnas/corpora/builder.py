"""A corpus of real models, converted in parallel.

Every model leaves a file under `models/` as soon as it is done: its graph, or the reason why there is no graph. So an
interrupted run goes on where it stopped, on this machine or on a cluster that shares the folder.
"""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf

from tfnas import artefacts, processes
from tfnas.corpora import graphs as graph_corpora
from tfnas.corpora import pipelines, sources
from tfnas.corpora.sources import Converter, Job
from tfnas.errors import ConfigurationError, CorruptArtefactError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph, from_example, to_example
from tfnas.reports import figures, tables

CORPUS_NAME, MODELS_NAME = "corpus", "models"


class _Convert(processes.Work):
    """Jobs in, files out."""

    def __init__(self, folder: pathlib.Path, torch_python: str, timeout_seconds: float):
        self._folder, self._settings = folder, (torch_python, timeout_seconds)

    def __enter__(self) -> Self:
        self._converter = Converter(*self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._converter.close()

    def __call__(self, job: Job) -> None:
        try:
            record = to_example(self._converter.convert(job)).SerializeToString(deterministic=True)
        except TfnasError as error:
            artefacts.write_json(self._folder / f"{job.key}.json", {**dataclasses.asdict(job), "reason": str(error)})
            return
        with artefacts.atomic_file(self._folder / f"{job.key}.example") as file:
            file.write(record)


def build_corpus(
    jobs: Sequence[Job],
    output_dir: pathlib.Path,
    *,
    num_workers: int = 2,
    torch_python: str = "",
    timeout_seconds: float = 120.0,
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Converts models and writes the corpus, its statistics and the list of failures.

    Args:
      jobs: models to convert.
      output_dir: folder of `corpus/`, `failures.json`, `summary.json`, `families.md` and the figure `statistics`;
        models that its folder `models/` already holds are not converted again.
      num_workers: processes of this machine.
      torch_python: interpreter of the environment with torch.
      timeout_seconds: longest time of an export from PyTorch, in seconds.
      beam_options: flags of an Apache Beam runner, which works instead of processes of this machine.

    Returns:
      The summary.

    Raises:
      ConfigurationError: no models, a model that is listed twice, or no model that could be converted.
      ChildProcessError: a worker died.
    """
    keys = collections.Counter(job.key for job in jobs)
    if not jobs or max(keys.values()) > 1:
        raise ConfigurationError(
            "no models to convert" if not jobs else f"the model {max(keys, key=keys.get)!r} is listed twice"
        )
    folder = output_dir / MODELS_NAME
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not _outcome(folder, job)]
    pipelines.run(
        waiting,
        _Convert(folder.absolute(), torch_python, timeout_seconds),
        lambda: sum(_outcome(folder, job) is not None for job in jobs),
        len(jobs),
        name="Models",
        unit="model",
        num_workers=num_workers,
        beam_options=beam_options,
    )
    return _assemble(jobs, folder, output_dir)


def _outcome(folder: pathlib.Path, job: Job) -> pathlib.Path | None:
    files = (folder / f"{job.key}.example", folder / f"{job.key}.json")
    return next((file for file in files if file.is_file()), None)


def _assemble(jobs: Sequence[Job], folder: pathlib.Path, output_dir: pathlib.Path) -> dict[str, Any]:
    failures, graphs = [], []
    for job in jobs:
        file = _outcome(folder, job)
        if file is None:
            failures.append({**dataclasses.asdict(job), "reason": "no worker answered"})
        elif file.suffix == ".json":
            failures.append(json.loads(file.read_text(encoding="utf-8")))
        else:
            try:
                graphs.append(from_example(file.read_bytes()))
            except TfnasError as error:
                raise CorruptArtefactError(f"{file}: {error}; delete it and resume") from error
    artefacts.write_json(output_dir / "failures.json", failures)
    if not graphs:
        raise ConfigurationError(f"none of {len(jobs)} models could be converted; {output_dir}/failures.json says why")
    packages = sources.packages(jobs)
    graph_corpora.write_graphs(output_dir / CORPUS_NAME, graphs, packages=packages)
    summary = {**_summary(graphs, failures), "packages": packages}
    artefacts.write_json(output_dir / "summary.json", summary)
    rows = [[name, str(count)] for name, count in summary["families"].items()]
    artefacts.write_text(output_dir / "families.md", tables.markdown(["family", "models"], rows) + "\n")
    figures.corpus_statistics(graphs, output_dir / "statistics")
    return summary


def _summary(graphs: Sequence[ComputationGraph], failures: Sequence[dict[str, str]]) -> dict[str, Any]:
    families = collections.Counter(graph.family for graph in graphs)
    unknown = collections.Counter(name for graph in graphs for name in graph.unknown)
    return {
        "models": len(graphs),
        "failures": len(failures),
        "families": dict(families.most_common()),
        "sources": dict(collections.Counter(graph.source for graph in graphs)),
        "nodes": int(sum(graph.num_nodes for graph in graphs)),
        "largest": max(graph.num_nodes for graph in graphs),
        "distinct_structures": len({_structure(graph) for graph in graphs}),
        "unknown_operators": dict(unknown.most_common()),
        "tensorflow": tf.__version__,
    }


def _structure(graph: ComputationGraph) -> tuple[bytes, bytes]:
    return graph.operators.tobytes(), graph.edges.tobytes()

"""Retrieval across hubs: one hub's models are never trained on, and ask all others."""

import pathlib
from typing import Any

from reproductions import report
from reproductions.retrieval import data
from reproductions.retrieval.methods import measured, measurements, trainings, without_source
from reproductions.retrieval.settings import Settings
from reproductions.retrieval.table1 import LEARNED, METRICS, cell
from tfnas.encoders.motif.config import preset

HUBS = {"realworld": ("timm", "torchvision"), "corpus": ("keras",)}


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment."""
    presets = {label: kind for label, kind in LEARNED.items() if label in ("GCN", "tfnas")}
    jobs = [
        job
        for name, hubs in HUBS.items()
        for hub in hubs
        for label, kind in presets.items()
        for job in trainings(
            output_dir, settings, name, f"{hub}, {label}", preset(kind), settings.epochs_of(name), without=hub
        )
    ]
    trained = list(zip(jobs, measured(output_dir, jobs, "Sources"), strict=True))
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    asked: dict[str, int] = {}
    for name, hubs in HUBS.items():
        collection = data.load(output_dir, settings, name)
        for hub in hubs:
            split = without_source(collection, hub)
            key = f"{name} without {hub}"
            learned = [
                (job.label.partition(", ")[2], measurement)
                for job, measurement in trained
                if (job.name, job.without) == (name, hub)
            ]
            results[key] = measurements(collection, split, settings, learned)
            asked[key] = results[key]["operator histogram"][0]["architectures"]["queries"]
    rows = [
        [f"{key}: {label}", *(cell(values, "architectures", f"{metric}@20") for metric in METRICS)]
        for key, methods in results.items()
        for label, values in methods.items()
    ]
    comparison = [
        "Relevant is what has the same family; queries with a relative in another hub: "
        + ", ".join(f"{key} {count}" for key, count in asked.items())
        + "."
    ]
    values = {"measurements": results, "seed": settings.seed}
    columns = ["collection: method", *(metric.upper() for metric in METRICS)]
    title = "Queries from a hub that nothing is trained on"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)

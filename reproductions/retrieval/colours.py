"""The default encoder of retrieval beside methods without learning, on three splits of every set.

The frequencies of colours, principal directions and scales are computed from the database alone, the scales from its
architectures of known families.
"""

import pathlib
from typing import Any

import numpy as np
from tqdm import tqdm

from reproductions import plots, report
from reproductions.retrieval import data
from reproductions.retrieval.methods import BASELINES
from reproductions.retrieval.settings import SETS, Settings
from reproductions.retrieval.table1 import KINDS, METRICS, OURS, cell, column_titles, mean, verdict
from tfnas.encoders.colour.config import preset
from tfnas.encoders.colour.fitting import fit, occurrences, weighed
from tfnas.encoders.splits import Split, random_split
from tfnas.retrieval.collection import Collection

TF_IDF = "tf-idf of colours"
_PRESETS = {OURS: ("colours", OURS), "cells": ("cells",)}  # presets of equal rounds
_FURTHER_SPLITS = 2


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `colours.png`."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in SETS:
        collection = data.load(output_dir, settings, name)
        results[name] = {}
        for split in _splits(name, collection, settings):
            methods = _features(collection, split, settings)
            for label, features in tqdm(methods, desc=f"Splits of {name}", unit="method", leave=False):
                measurement = data.measure(features, collection, split, settings)
                results[name].setdefault(label, []).append(measurement)
    rows = [
        [f"{name}: {label}", *(cell(values, kind, f"{metric}@20") for kind in KINDS for metric in METRICS)]
        for name, methods in results.items()
        for label, values in methods.items()
    ]
    comparison = [
        f"Mean and deviation over {1 + _FURTHER_SPLITS} splits: the fixed split of table 1, and random splits.",
        *(verdict(name, methods) for name, methods in results.items()),
    ]
    plots.grouped_bars(
        {
            name: {label: [mean(values, kind, "map@20") for kind in KINDS] for label, values in methods.items()}
            for name, methods in results.items()
        },
        [f"held-out {kind}" for kind in KINDS],
        output_dir / "colours.png",
        title="Mean average precision at 20, mean over three splits",
    )
    return report.Report(
        title="The default encoder of retrieval",
        columns=["collection: method", *column_titles()],
        rows=rows,
        comparison=comparison,
        values={"measurements": results, "seed": settings.seed},
    )


def _splits(name: str, collection: Collection, settings: Settings) -> list[Split]:
    seeds = range(settings.seed + 1, settings.seed + 1 + _FURTHER_SPLITS)
    return [data.split_of(name, collection, settings), *(random_split(collection.families, seed) for seed in seeds)]


def _features(collection: Collection, split: Split, settings: Settings) -> Any:
    """Pairs of a method's label and its features of all architectures."""
    for label, baseline in BASELINES.items():
        yield label, baseline(collection, np.flatnonzero(split.train))
    database = np.flatnonzero(~split.queries)
    family = np.where(split.train, collection.graphs.family, -1)[database]
    for depth, presets in _PRESETS.items():
        occurring = occurrences(collection.graphs, preset(depth).rounds)
        if depth == OURS:
            yield TF_IDF, weighed(preset(depth), occurring, database)[0]
        for label in presets:
            model = fit(preset(label), occurring[database], family, settings.seed)
            yield (label if label == OURS else f"preset {label}"), model.embed(collection.graphs)

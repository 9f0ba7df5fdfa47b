"""The default encoder of retrieval beside methods without learning, on three splits of the real sets.

The frequencies of colours, principal directions and scales are computed from the database alone, the scales from its
architectures of known families.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from reproductions import report
from reproductions.retrieval import data
from reproductions.retrieval.methods import BASELINES
from reproductions.retrieval.settings import SETS, Settings
from reproductions.retrieval.table1 import OURS, draw, report_of, verdict
from tfnas import artefacts
from tfnas.encoders.colour.config import ColourEncoderConfig, preset
from tfnas.encoders.colour.fitting import fit, occurrences, weighed
from tfnas.encoders.splits import Split, random_split
from tfnas.retrieval.collection import Collection

TF_IDF, CELLS = "tf-idf of colours", "preset cells"
_FURTHER_SPLITS = 2
_DRAWN = (*list(BASELINES)[:3], TF_IDF, OURS, CELLS)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `colours.png`."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in SETS:
        collection = data.load(output_dir, settings, name)
        results[name] = {}
        for number, split in enumerate(_splits(name, collection, settings)):
            methods = _methods(collection, split, settings)
            for label, features in tqdm(methods.items(), desc=f"Split {number + 1} of {name}", leave=False):
                path = output_dir / "splits" / name / f"{data.name_of(label, number)}.json"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    artefacts.write_json(path, data.measure(features(), collection, split, settings))
                results[name].setdefault(label, []).append(artefacts.read_json(path))
    comparison = [
        f"Mean and deviation over {1 + _FURTHER_SPLITS} splits: the fixed split of table 1, and random splits. "
        f"{SETS[-1]} has the split of table 1 alone.",
        *(verdict(name, methods) for name, methods in results.items()),
    ]
    draw(results, _DRAWN, output_dir / "colours.png")
    return report_of("The default encoder of retrieval", results, comparison, settings)


def _splits(name: str, collection: Collection, settings: Settings) -> list[Split]:
    seeds = [] if name == SETS[-1] else range(settings.seed + 1, settings.seed + 1 + _FURTHER_SPLITS)
    return [data.split_of(name, collection, settings), *(random_split(collection.families, seed) for seed in seeds)]


def _methods(collection: Collection, split: Split, settings: Settings) -> dict[str, Callable[[], Any]]:
    """Functions that compute the features of all architectures, by method."""
    database = np.flatnonzero(~split.queries)
    family = np.where(split.train, collection.graphs.family, -1)[database]
    occurring = functools.cache(lambda rounds: occurrences(collection.graphs, rounds))

    def embedded(config: ColourEncoderConfig) -> np.ndarray:
        model = fit(config, occurring(config.rounds)[database], family, settings.seed)
        return model.embed(collection.graphs)

    ours = preset("tfnas")
    train = np.flatnonzero(split.train)
    return {
        **{label: functools.partial(baseline, collection, train) for label, baseline in BASELINES.items()},
        TF_IDF: lambda: weighed(ours, occurring(ours.rounds), database)[0],
        "preset colours": lambda: embedded(preset("colours")),
        OURS: lambda: embedded(ours),
        CELLS: lambda: embedded(preset("cells")),
    }

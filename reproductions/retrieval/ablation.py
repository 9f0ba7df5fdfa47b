"""What each part of the encoder is worth, on the real-world set.

References:
  Pei et al. 2024, table 3 (how graphs are cut into motifs).
"""

import dataclasses
import pathlib
from typing import Any

from reproductions import report
from reproductions.retrieval.methods import measured, trainings
from reproductions.retrieval.settings import Settings
from reproductions.retrieval.table1 import KINDS, METRICS, cell, column_titles
from tfnas.encoders.motif.config import MotifEncoderConfig, preset

SET = "realworld"
_OURS = preset("tfnas")
_PLAIN = {"neighbourhood_width": 0, "memory_share": 0.0, "geometry_weight": 0.0}
_MACRO = {"macro_layers": 2}


def _variants() -> dict[str, MotifEncoderConfig]:
    changes: dict[str, dict[str, Any]] = {
        "tfnas": {},
        "s = 0": {"steps": 0},
        "s = 2": {"steps": 2},
        "s = 1, without operators": {"operators": False},
        "motifs of at most 4 operators": {"max_length": 4},
        "motifs of at most 16 operators": {"max_length": 16},
        "no motifs: the whole graph": {"splitting": "none"},
        "macro graph": _MACRO,
        "macro graph of communities (coarsening)": {**_MACRO, "splitting": "communities"},
        "macro graph of pieces of 7 operators": {**_MACRO, "splitting": "fixed_size"},
        "macro graph of random pieces": {**_MACRO, "splitting": "random"},
        "macro graph by the published rule": {**_MACRO, "splitting": "bigram"},
        "motifs against contexts, InfoNCE": {"motif_loss": "infonce"},
        "motifs against contexts, discriminator": {"motif_loss": "discriminator"},
        "published loss between graphs": {"graph_loss": "pooled"},
        "no geometry": {"geometry_weight": 0.0},
        "no memory": {"memory_share": 0.0},
        "no hashed colours: motifs alone": _PLAIN,
    }
    return {label: dataclasses.replace(_OURS, **fields) for label, fields in changes.items()}


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment."""
    epochs = settings.epochs_of(SET)
    jobs = [
        job
        for label, config in _variants().items()
        for job in trainings(output_dir, settings, SET, label, config, epochs)
    ]
    measurements: dict[str, list[dict[str, Any]]] = {}
    for job, result in zip(jobs, measured(output_dir, jobs, "Ablation"), strict=True):
        measurements.setdefault(job.label, []).append(result)
    rows = [
        [label, *(cell(values, kind, f"{metric}@20") for kind in KINDS for metric in METRICS)]
        for label, values in measurements.items()
    ]
    comparison = [
        f"Real-world set, {epochs} epochs, mean and deviation over {settings.trainings} trainings on one split.",
        "Published, MRR / MAP / NDCG at 20 on real models: fixed size 0.807 / 0.551 / 0.694, fixed number 0.817 / "
        "0.591 / 0.692, random 0.801 / 0.549 / 0.699, the published rule 0.825 / 0.593 / 0.705.",
    ]
    values = {"measurements": measurements, "seed": settings.seed}
    columns = ["variant", *column_titles()]
    title = "Ablations of retrieval"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)

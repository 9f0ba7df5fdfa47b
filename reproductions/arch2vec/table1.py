"""Table 1 of arch2vec: how well four autoencoders reconstruct cells, and what their decoders make of samples.

References:
  Yan et al. 2020 (arch2vec), section 4.1, observation (1), and table 1.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reproductions import plots, processes, report
from reproductions.arch2vec.settings import Settings
from tfnas import artefacts, runtime
from tfnas.encoders.arch2vec.config import preset

EPOCHS = {"nasbench101": 8, "nasbench201": 10, "darts": 10}
"""The spaces, and the paper's passes over each."""
MAX_MULTIPLY_ADDS = 6e8
METHODS: dict[str, dict[str, object]] = {
    "GAE": {"message_passing": "gcn", "variational": False},
    "VGAE": {"message_passing": "gcn"},
    "arch2vec without KL": {"variational": False},
    "arch2vec": {},
}
"""The autoencoders of the paper's table 1 as changes of a preset.

References:
  Kipf and Welling 2016, "Variational Graph Auto-Encoders".
"""
_VARIANTS = {
    **{method: ("tfnas", method) for method in METHODS},
    "arch2vec, preset paper": ("paper", "arch2vec"),
    "arch2vec, preset published_code": ("published_code", "arch2vec"),
}
_PAPER = {
    "GAE": ("98.75 / 29.88 / 99.25", "99.52 / 79.28 / 78.42", "97.80 / 15.25 / 99.65"),
    "VGAE": ("97.45 / 41.18 / 99.34", "98.32 / 79.30 / 88.42", "96.80 / 25.25 / 99.27"),
    "arch2vec without KL": ("100 / 30.31 / 99.20", "100 / 77.09 / 96.57", "99.46 / 16.01 / 99.51"),
    "arch2vec": ("100 / 44.97 / 99.69", "100 / 79.41 / 98.72", "99.79 / 33.36 / 100"),
}
_FIGURE = {
    "reconstruction": "reconstruction_accuracy",
    "validity": "mixture_validity",
    "uniqueness": "mixture_uniqueness",
}
_PRIORS = {"mixture of Gaussians": "mixture_", "one Gaussian": "", "independent entries": "independent_"}


@dataclasses.dataclass(frozen=True)
class Job:
    """One pretraining.

    Attributes:
      space: name of the space.
      variant: a row of the table.
      seed: seed of everything random.
      epochs: passes over the cells.
      num_cells: number of sampled DARTS cells.
      folder: folder of the pretraining; a finished pretraining is not repeated.
    """

    space: str
    variant: str
    seed: int
    epochs: int
    num_cells: int
    folder: str


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Pretrains every autoencoder, see `reproduce`."""
    return reproduce(
        output_dir,
        seeds=settings.pretraining_seeds,
        other_seeds=settings.other_seeds,
        darts_cells=settings.darts_cells,
    )


def reproduce(
    output_dir: pathlib.Path,
    *,
    spaces: Sequence[str] = tuple(EPOCHS),
    variants: Sequence[str] = tuple(_VARIANTS),
    seeds: int = 3,
    other_seeds: int | None = None,
    darts_cells: int = 600_000,
    epochs: Mapping[str, int] = EPOCHS,
    workers: int | None = None,
) -> dict[str, Any]:
    """Pretrains every autoencoder and draws `table1.png`.

    Every pretraining has a folder under `output_dir/table1`. Finished pretrainings are not repeated; other pretrainings
    go on from their last checkpoint.

    Args:
      output_dir: an existing folder.
      spaces: spaces among `EPOCHS`; all by default.
      variants: rows of the table; all by default.
      seeds: pretrainings of arch2vec with the preset tfnas, with the seeds 1, 2, ...
      other_seeds: pretrainings of every other row; the number of `seeds` by default.
      darts_cells: sampled cells of DARTS; the paper has 600,000.
      epochs: passes over the cells, by space.
      workers: processes at the same time; by default one per processor.

    Returns:
      The report; its values are, per space and variant, the summaries of all seeds.
    """
    count = {variant: seeds if variant == "arch2vec" else other_seeds or seeds for variant in variants}
    jobs = [
        Job(
            space,
            variant,
            seed,
            epochs[space],
            darts_cells,
            str(output_dir / "table1" / processes.folder_name(f"{space}_{variant}_{seed}")),
        )
        for seed in range(1, max(count.values()) + 1)
        for space in spaces
        for variant in variants
        if seed <= count[variant]
    ]
    summaries = dict(zip(jobs, processes.run(_pretrain, jobs, "Table 1", workers), strict=True))
    values = {
        space: {
            variant: [summaries[job] for job in jobs if (job.space, job.variant) == (space, variant)]
            for variant in variants
        }
        for space in spaces
    }
    return _report(output_dir, values, darts_cells)


def _pretrain(job: Job) -> dict[str, Any]:
    folder = pathlib.Path(job.folder)
    if (folder / "for_table.json").exists():
        return artefacts.read_json(folder / "summary.json") | artefacts.read_json(folder / "for_table.json")
    processes.quiet(folder)
    runtime.one_thread_per_operation()

    import tensorflow as tf

    from reproductions.arch2vec import mixture_metrics, published_metrics
    from tfnas.corpora import cell_sources
    from tfnas.encoders.arch2vec.task import NUM_SAMPLES, Arch2VecPretraining
    from tfnas.encoders.pretraining import restore
    from tfnas.spaces import get_space

    name, method = _VARIANTS[job.variant]
    config = preset(name, **METHODS[method])
    bound = MAX_MULTIPLY_ADDS if job.space == "darts" else None
    space = get_space(job.space)
    cells = cell_sources.cells_of(space, None, job.num_cells, job.seed, bound)
    pretraining = Arch2VecPretraining(config, space, cells)
    resume = (folder / "checkpoints").exists()
    summary = pretraining.run(folder, epochs=job.epochs, seed=job.seed, resume=resume)
    model = pretraining.new_model()
    restore(model, tf.train.latest_checkpoint(str(folder / "checkpoints")))
    mixture = mixture_metrics.evaluate(model, space, pretraining.train_cells, NUM_SAMPLES, job.seed)
    published = published_metrics.evaluate(
        model,
        space,
        pretraining.train_cells,
        pretraining.test_cells,
        NUM_SAMPLES,
        np.random.default_rng([job.seed, job.epochs, 1]),
    )
    artefacts.write_json(folder / "for_table.json", mixture | published)
    return summary | mixture | published


def _report(
    output_dir: pathlib.Path, values: dict[str, dict[str, list[dict[str, Any]]]], darts_cells: int
) -> report.Report:
    rows, comparison = [], []
    for space, variants in values.items():
        column = list(EPOCHS).index(space)
        for variant, summaries in variants.items():
            row = [space, variant, str(len(summaries)), _shares(summaries, "reconstruction_accuracy")]
            for prefix in _PRIORS.values():
                row.append(_shares(summaries, f"{prefix}validity"))
                row.append(_unique(summaries, prefix))
            accuracy = [_shares(summaries, f"published_{target}_accuracy") for target in ("operation", "edge")]
            row.append(
                f"{' and '.join(accuracy)} / {_shares(summaries, 'published_validity')} / "
                f"{_shares(summaries, 'published_uniqueness')}"
            )
            row.append(_PAPER[variant][column] if variant in _PAPER else "-")
            rows.append(row)
        if "arch2vec" in variants:
            ours = variants["arch2vec"]
            comparison.append(
                f"{space}: arch2vec, strictly, {_shares(ours, 'reconstruction_accuracy')} reconstructed, "
                f"{_shares(ours, 'mixture_validity')} valid, {_unique(ours, 'mixture_')} unique (samples of the "
                f"mixture); the paper's looser numbers are {_PAPER['arch2vec'][column]}."
            )
    columns = ["space", "autoencoder", "seeds", "whole graphs reconstructed %"]
    for prior in _PRIORS:
        columns += [f"{prior}: valid %", "unique % (relative)"]
    columns += ["as published: operations and edges / valid / unique %", "paper: accuracy / valid / unique %"]
    plots.grouped_bars(
        {
            space: {
                variant: [_mean(summaries, name) for name in _FIGURE.values()]
                for variant, summaries in variants.items()
            }
            for space, variants in values.items()
        },
        tuple(_FIGURE),
        output_dir / "table1.png",
        title="whole graphs reconstructed; valid and unique samples of a mixture of Gaussians",
    )
    return report.Report(
        title="Table 1: four autoencoders and three presets, mean ± deviation over seeds",
        columns=columns,
        rows=rows,
        comparison=[*comparison, f"DARTS: {darts_cells:,} sampled cells below 600 M multiply-adds."],
        values=values,
    )


def _mean(summaries: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([summary[name] for summary in summaries]))


def _shares(summaries: Sequence[dict[str, Any]], name: str) -> str:
    values = [summary[name] for summary in summaries]
    return report.percent(float(np.mean(values)), float(np.std(values)) if len(values) > 1 else None)


def _unique(summaries: Sequence[dict[str, Any]], prefix: str) -> str:
    """Relative to uniform draws where the size of the space is known; DARTS is so large that they would be distinct."""
    name = f"{prefix}relative_uniqueness"
    relative = _mean(summaries, name if name in summaries[0] else f"{prefix}uniqueness")
    return f"{_shares(summaries, f'{prefix}uniqueness')} ({relative:.3f})"

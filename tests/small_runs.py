"""One small run of every trainer and of the search, for the tests that kill them and those that repeat them."""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from tests.fork import run
from tfnas.search import STRATEGIES


@dataclasses.dataclass(frozen=True)
class SmallRun:
    """A command and what it must give again.

    Attributes:
      program: a module of `trainers`.
      arguments: its flags; `{inputs}` stands for the folder that `make_inputs` filled.
      results: files of the output folder whose content counts.
      training: where in the output folder checkpoints and metrics are.
    """

    program: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    training: str = "."

    def command(self, inputs: pathlib.Path, output_dir: pathlib.Path) -> list[str]:
        """The flags."""
        return [*(argument.format(inputs=inputs) for argument in self.arguments), f"--output_dir={output_dir}"]

    def digest(self, output_dir: pathlib.Path) -> dict[str, str]:
        """SHA-256 of what counts."""
        return {name: hashlib.sha256((output_dir / name).read_bytes()).hexdigest() for name in self.results}


# Of a SavedModel the weights: its functions are numbered by what the process traced, and a resumed one traced less.
_WEIGHTS = "encoder/variables/variables.data-00000-of-00001"
_TRAINED = ("metrics.jsonl", _WEIGHTS)

SMALL_RUNS = {
    "arch2vec": SmallRun(
        "pretrain_arch2vec",
        ("--space=nasbench201", "--corpus={inputs}/cells", "--epochs=6", "--seed=1", "--hidden_dims=16,16"),
        _TRAINED,
    ),
    "computation_graph": SmallRun(
        "pretrain_cg_encoder",
        ("--corpus={inputs}/graphs", "--width=8", "--layers=2", "--embedding_dim=8", "--batch_size=16", "--epochs=5"),
        _TRAINED,
    ),
    "jacobian": SmallRun(
        "pretrain_jacobian_encoder",
        ("--corpus={inputs}/jacobians", "--epochs=8", "--batch_size=6", "--width=8"),
        _TRAINED,
    ),
    "motif": SmallRun(
        "train_retrieval",
        (
            *("--corpus={inputs}/graphs", "--width=8", "--embedding_dim=8", "--neighbourhood_width=48"),
            *("--batch_size=8", "--epochs=5"),
        ),
        ("joint/metrics.jsonl", _WEIGHTS, "encoder/motifs.npz"),
        training="joint",
    ),
    "search": SmallRun(
        "search",
        (
            *("--benchmark=trained", "--data={inputs}/images.npz", "--channels=4", "--cells_per_stage=1"),
            *("--train_epochs=1", "--strategy=random,evolution", "--queries=4"),
        ),
        ("results.json", "best_model/model.keras"),
    ),
}

SEARCHES = {
    strategy: SmallRun(
        "search",
        ("--benchmark=digits201", f"--strategy={strategy}", "--queries=40", "--runs=3"),
        ("results.json",),
    )
    for strategy in STRATEGIES
}


def make_inputs(folder: pathlib.Path) -> pathlib.Path:
    """Cells, computation graphs, Jacobians and images in a folder."""
    from tfnas.corpora import cells as cell_corpora
    from tfnas.corpora import graphs as graph_corpora
    from tfnas.networks import symbolic
    from tfnas.spaces import NASBench201

    space = NASBench201()
    cells = space.enumerate()
    cell_corpora.write_cells(folder / "cells", space, cells[:600], num_shards=2)
    graphs = [
        symbolic.build(space, space.architecture(cells, 60 * row), name=str(row), family="ab"[row % 2])
        for row in range(60)
    ]
    graph_corpora.write_graphs(folder / "graphs", graphs, num_shards=2)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.random((60, 8, 8, 3)).astype(np.float32) + labels[:, None, None, None]
    np.savez(folder / "images.npz", images=images, labels=labels)
    sizes = ["--space=nats_size", "--count=12", "--num_images=4", "--components=4", "--initializations=2"]
    done = run("extract_jacobians", *sizes, f"--data={folder}/images.npz", f"--output_dir={folder}/extracted")
    assert done.returncode == 0, done.stderr
    os.replace(folder / "extracted" / "corpus", folder / "jacobians")
    return folder

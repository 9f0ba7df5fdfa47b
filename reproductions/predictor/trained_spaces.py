"""Makes `trained_spaces.npz`, labelled networks beside the benchmarks' cells, for the experiment `unseen_spaces`.

The chains of `chains` learn 5,000 photographs of CIFAR-10, 16 pixels wide, for ten epochs, and are tested on 2,000
other photographs; the seed and a chain's number decide the architecture and the first weights. The networks of
`published` have the accuracies that Keras lists. The file that ships lies beside this module.
"""

import dataclasses
import pathlib
import time

import numpy as np
import tf_keras
from tqdm import tqdm

from reproductions import report
from reproductions.predictor import chains, published
from reproductions.predictor.settings import Settings
from tfnas import artefacts
from tfnas.benchmarks.registry import find_table
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers import import_model
from tfnas.graphs.packed import PackedGraphs, pack

FILE = pathlib.Path(__file__).with_name("trained_spaces.npz")
"""The labelled networks that ship."""


def load(path: artefacts.PathLike = FILE) -> PackedGraphs:
    """The labelled networks of a file that `run` wrote.

    Raises:
      CorruptArtefactError: the file is missing or damaged.
    """
    arrays = artefacts.read_npz(path)
    return PackedGraphs(**arrays | {"families": tuple(arrays["families"].tolist())})


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Trains the chains and writes `trained_spaces.npz`; a resumed run repeats no training.

    Args:
      output_dir: an existing folder.
      settings: seed, and number of networks of a space.
    """
    log = TrialLog(output_dir / "trained_spaces.jsonl", {"seed": settings.seed, "training": chains.TRAINING})
    packed = pack([*_trained(log, settings), *published.graphs()])
    arrays = {field.name: getattr(packed, field.name) for field in dataclasses.fields(PackedGraphs)}
    artefacts.write_npz(output_dir / FILE.name, **arrays | {"families": np.array(packed.families)})
    seconds = sum(record["cpu_seconds"] for record in log.records().values())
    rows = []
    for number, family in enumerate(packed.families):
        accuracies = packed.labels[packed.family == number]
        spread = (report.percent(function(accuracies)) for function in (np.min, np.median, np.max))
        rows.append([family, str(len(accuracies)), *spread])
    return report.Report(
        title="Labelled networks beside the benchmarks' cells",
        columns=["space", "networks", "lowest accuracy %", "median %", "highest %"],
        rows=rows,
        comparison=[f"Trainings: {seconds / 60:.0f} minutes of processor time."],
        values={"seed": settings.seed, "seconds": seconds, "accuracies": packed.labels.tolist()},
    )


def _trained(log: TrialLog, settings: Settings) -> list[ComputationGraph]:
    (images, labels), test = chains.photographs(find_table("cifar10_subset"))
    images, labels = images[: chains.TRAIN_IMAGES], labels[: chains.TRAIN_IMAGES]
    keys = [(number, space) for number in range(settings.trained_networks) for space in range(len(chains.SPACES))]
    graphs = []
    for number, space in tqdm(keys, desc="Training", unit="network"):
        family = chains.SPACES[space]
        blocks = chains.sample(family, np.random.default_rng([settings.seed, space, number]))
        tf_keras.backend.clear_session()
        tf_keras.utils.set_random_seed(10**6 * settings.seed + 10**5 * space + number)
        model = chains.build(blocks)
        key = f"{family}/{number}"
        record = log.get(key)
        if record is None:
            started = time.process_time()
            accuracy = chains.train(model, images, labels, test)
            record = log.add(key, {"accuracy": accuracy, "cpu_seconds": time.process_time() - started})
        graphs.append(import_model(model).replace(name=key, family=family, label=record["accuracy"]))
    return graphs

"""Papers and their experiments; nothing here imports TensorFlow before an experiment starts."""

import dataclasses
import importlib
import pathlib
from collections.abc import Sequence
from typing import Any

from reproductions.arch2vec.settings import Settings as Arch2VecSettings
from reproductions.jacobian.settings import Settings as JacobianSettings
from reproductions.predictor.settings import Settings as PredictorSettings
from reproductions.report import Report
from reproductions.retrieval.settings import Settings as RetrievalSettings
from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Paper:
    """A folder of experiments.

    Attributes:
      folder: name of the folder beside this file.
      title: subject and reference.
      settings: frozen dataclass of sizes, whose fields are the flags.
      experiments: modules of the folder with a function `run(output_dir, settings)`, which draws figures and returns a
        `report.Report`.
    """

    folder: str
    title: str
    settings: type
    experiments: tuple[str, ...]

    def choose(self, names: Sequence[str]) -> list[str]:
        """The experiments that are meant; "all" means every experiment.

        Raises:
          ConfigurationError: an experiment is unknown.
        """
        for name in names:
            if name not in (*self.experiments, "all"):
                raise ConfigurationError(f"unknown experiment {name!r}, expected all or {', '.join(self.experiments)}")
        return list(self.experiments) if "all" in names else list(names)

    def run(self, experiment: str, output_dir: pathlib.Path, settings: Any) -> Report:
        """Runs an experiment; its table, figure and numbers go to an existing folder."""
        module = importlib.import_module(f"reproductions.{self.folder}.{experiment}")
        report = module.run(output_dir, settings)
        report.write(output_dir, experiment)
        return report


PAPERS = {
    paper.folder: paper
    for paper in (
        Paper(
            "arch2vec",
            "arch2vec (Yan et al. 2020)",
            Arch2VecSettings,
            ("table1", "table2", "table3", "table4", "figure2", "figure3", "figure4", "figure5"),
        ),
        Paper(
            "jacobian",
            "contrastive Jacobian embeddings (Hesslow and Poli 2021)",
            JacobianSettings,
            ("table1", "search", "transfer", "few_labels", "maps", "training", "ablation"),
        ),
        Paper(
            "predictor",
            "transferable predictor (Han et al. 2023)",
            PredictorSettings,
            (
                *("table1", "table2", "table3", "table4", "proxies", "few_labels", "own_labels", "trained_spaces"),
                "unseen_spaces",
            ),
        ),
        Paper(
            "retrieval",
            "neural architecture retrieval (Pei et al. 2024)",
            RetrievalSettings,
            ("colours", "table1", "ablation", "sources", "ranking"),
        ),
    )
}

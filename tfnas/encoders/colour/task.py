"""From graphs to an exported encoder of colours."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.corpora.graphs import by_name, read_graphs
from tfnas.encoders.colour.config import ColourEncoderConfig
from tfnas.encoders.colour.fitting import fit, occurrences
from tfnas.encoders.colour.model import ColourEncoder
from tfnas.encoders.colour.saved import KIND
from tfnas.encoders.colour.validation import precision
from tfnas.encoders.graph_module import export_graph_model
from tfnas.encoders.pretraining import ENCODER_NAME, Learning
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.graphs.motifs.weisfeiler_lehman import distinct
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.reports import figures

_SPLITS = 3


class ColourFitting(Learning):
    """Computes an encoder of colours.

    The learned part is measured on random splits first, with families held out, and is left out if it does not help.

    Args:
      config: settings.
      graphs: N graphs; the family "" is not known.
    """

    def __init__(self, config: ColourEncoderConfig, graphs: PackedGraphs):
        self.config = config
        self.graphs = graphs[distinct(graphs)].with_own_families()
        names = np.array(self.graphs.families, str)
        self.family = np.where(names == "", -1, np.arange(len(names)))[self.graphs.family]

    @classmethod
    def read(cls, config: ColourEncoderConfig, inputs: Corpora, seed: int) -> "ColourFitting":
        return cls(config, pack(by_name(graph for folder in inputs.corpus for graph in read_graphs(folder)).values()))

    def check(self) -> None:
        gnn.load()  # which the export needs
        if len(self.graphs) < self.config.least_graphs:
            raise ConfigurationError(
                f"{len(self.graphs)} structures, expected at least least_graphs={self.config.least_graphs}"
            )

    def fit(self, seed: int) -> tuple[ColourEncoder, dict[str, Any]]:
        """The encoder, and what was measured: entries of the summary."""
        occurring = occurrences(self.graphs, self.config.rounds)
        config, measured = self.config, None
        if config.learned_share:
            measured = precision(config, self.graphs, occurring, self.family, range(seed, seed + _SPLITS))
            if measured is not None and not measured.helps:
                config = dataclasses.replace(config, learned_share=0.0)
        model = fit(config, occurring, self.family, seed)
        facts = {"colours": model.names.shape[0], "learned_part": model.learned}
        return model, facts | {"mean_average_precision": measured and dataclasses.asdict(measured)}

    def run(self, output_dir: pathlib.Path, *, seed: int) -> dict[str, Any]:
        """Fits, exports and draws: writes `encoder/` (SavedModel), `summary.json` and `map.png`.

        Args:
          output_dir: an existing folder.
          seed: seed of everything random.

        Returns:
          The summary.

        Raises:
          ConfigurationError: data that don't suffice.
        """
        self.check()
        model, measured = self.fit(seed)
        summary = {**self.facts(), "seed": seed, **measured}
        manifest = export(model, output_dir / ENCODER_NAME, training=summary)
        summary["encoder_sha256"] = artefacts.fingerprint(manifest)
        families = [self.graphs.families[family] for family in self.graphs.family]
        figures.family_map(model.embed(self.graphs), families, output_dir / "map.png", title="embeddings of the graphs")
        artefacts.write_json(output_dir / "summary.json", summary)
        return summary

    def embedders(self, learned: bool, seed: int) -> Callable[[PackedGraphs], Callable[[PackedGraphs], np.ndarray]]:
        """A function from graphs to a function that embeds graphs by an encoder computed from the former.

        Args:
          learned: whether the encoders have the learned part.
          seed: seed of everything random.
        """
        config = self.config if learned else dataclasses.replace(self.config, learned_share=0.0)

        def embedder(graphs: PackedGraphs) -> Callable[[PackedGraphs], np.ndarray]:
            fitting = ColourFitting(config, graphs)
            return fit(config, occurrences(fitting.graphs, config.rounds), fitting.family, seed).embed

        return embedder

    def facts(self) -> dict[str, Any]:
        return {"graphs": len(self.graphs), "families": len(set(self.family[self.family >= 0].tolist()))}

    def headline(self, summary: Mapping[str, Any]) -> str:
        text = f"{summary['graphs']:,} structures of {summary['families']:,} families, {summary['colours']:,} colours"
        measured = summary["mean_average_precision"]
        if not self.config.learned_share:
            return f"{text}; no learned part, as asked"
        if measured is None:
            return f"{text}; no learned part was measured: it needs families of several architectures"
        used = "used" if summary["learned_part"] else "left out, for it does not help"
        return (
            f"{text}; the learned part is {used}. Mean average precision with and without it: architectures "
            f"{measured['architectures']:.3f} and {measured['architectures_of_colours']:.3f}, unseen families "
            f"{measured['families']:.3f} and {measured['families_of_colours']:.3f}"
        )


def export(model: ColourEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest, which is returned; see `graph_module.export_graph_model`."""
    config = dataclasses.asdict(model.config)
    return export_graph_model(
        model, folder, name="colour_encoder", kind=KIND, embedding_dim=model.size, config=config, **facts
    )

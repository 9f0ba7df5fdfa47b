"""Embeds known architectures and writes the index that `tfnas retrieve` searches.

  tfnas build_index --corpus=OUT/corpus --output_dir=INDEX
  tfnas build_index --corpus=OUT/corpus --fit --output_dir=INDEX

A corpus is a folder that `tfnas build_corpus` wrote; several corpora are joined. --add_to starts from an existing
index of the same encoder and embeds what is added alone; --remove takes architectures out of it. --fit computes a
colour encoder from the architectures of the index, so that what is rare among them counts; the encoder goes to
INDEX/encoder. --search=ivf adds inverted lists, by which an index of some 10^5 architectures and more answers faster;
their recall is measured and printed.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_CORPUS = tfnas_flags.define_paths("corpus", [], "Folders of graph corpora.")
_ENCODER = tfnas_flags.define_path("encoder", "colour_encoder", "Encoder of graphs: a shipped name or a folder.")
_FIT = flags.DEFINE_boolean("fit", False, "Compute the encoder from the architectures; with --encoder's default alone.")
_SEED = flags.DEFINE_integer("seed", 1, "Seed of --fit.", lower_bound=0)
_SEARCH = flags.DEFINE_enum(
    "search", "exact", ["exact", "ivf"], "Search among all embeddings, or in inverted lists, which need faiss-cpu."
)
_ADD_TO = tfnas_flags.define_path("add_to", None, "Index that is copied and added to: a shipped name or a folder.")
_REMOVE = flags.DEFINE_list("remove", [], "Names that are left out of the index of --add_to.")
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.retrieval.builder`."""
    if _FIT.value and flags.FLAGS["encoder"].present:
        raise ConfigurationError("--fit computes an encoder, and --encoder names another; expected either")
    tfnas.runtime.one_thread_per_operation()

    from tfnas import encoders, saved_models
    from tfnas.encoders.base import graph_encoder
    from tfnas.retrieval import builder
    from tfnas.retrieval.calibration import cross_calibrated
    from tfnas.retrieval.index import Index

    folder = saved_models.folder(_ENCODER.value)
    encoder = None if _FIT.value else graph_encoder(encoders.load(folder, trust=_TRUST.value))
    add_to = saved_models.folder(_ADD_TO.value) if _ADD_TO.value else None
    holding = builder.gather(_CORPUS.value, encoder, add_to=add_to, remove=_REMOVE.value, trust=_TRUST.value)
    settings = {"program": "build_index", "corpus": _CORPUS.value, "encoder": _ENCODER.value, "fit": _FIT.value}
    settings |= {"seed": _SEED.value, "add_to": _ADD_TO.value, "remove": _REMOVE.value, "search": _SEARCH.value}
    # Scores mean what they mean in the index that grows.
    calibration = Index.load(add_to, trust=_TRUST.value).calibration if add_to else None
    # Everything is in memory by now: the folder that is overwritten may be the folder that was read.
    output_dir = tfnas_flags.output_folder(settings)
    if encoder is None:
        from tfnas.encoders.colour.config import preset
        from tfnas.encoders.colour.task import ColourFitting

        fitting = ColourFitting(preset("tfnas"), holding.collection.graphs)
        summary = fitting.run(output_dir, seed=_SEED.value)
        print(fitting.headline(summary))
        encoder = graph_encoder(encoders.load(output_dir / "encoder"))
        embedders = fitting.embedders(summary["learned_part"], _SEED.value)
        calibration = cross_calibrated(holding.collection.graphs, holding.collection.families, embedders)
    index = builder.build_index(holding, encoder, output_dir / "index", calibration, _SEARCH.value)
    if index.lists is not None:
        print(f"lists find {100 * index.lists.recall:.1f} % of the ten nearest, {index.lists.probes} lists per query")
    print(f"{len(index):,} architectures in {output_dir}/index")


if __name__ == "__main__":
    tfnas_flags.run(main)

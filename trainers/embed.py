"""Embeds every cell of a search space, or the cells of a file, with an exported encoder.

  tfnas embed --encoder=arch2vec_nasbench201 --output_dir=OUT
  tfnas embed --encoder=arch2vec_nasbench201 --architectures=cells.txt --output_dir=OUT

With --architectures, the table has a row per line of a text file, in the notation of the benchmark or of NASLib.
OUT gets the table OUT/embeddings, map.png, metrics.jsonl and summary.json.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_ENCODER = tfnas_flags.define_path("encoder", None, "Encoder of cells: a shipped name or a folder.", required=True)
_CORPUS = tfnas_flags.define_path("corpus", None, "Folder of TFRecord shards to embed, instead of the whole space.")
_ARCHITECTURES = tfnas_flags.define_path(
    "architectures", None, "Text file of the cells to embed, one per line, instead of the whole space."
)
_NUM_CELLS = flags.DEFINE_integer("num_cells", 600_000, "Cells to sample from a space that can't be enumerated.")
_SEED = flags.DEFINE_integer("seed", 1, "Seed of that sample.", lower_bound=0)
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.arch2vec.saved.embed_cells`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas import saved_models
    from tfnas.corpora import cell_sources
    from tfnas.encoders.arch2vec import saved
    from tfnas.spaces import get_space

    encoder = saved.SavedCellEncoder(saved_models.folder(_ENCODER.value), trust=_TRUST.value)
    space = get_space(encoder.manifest["space"])
    if _ARCHITECTURES.value is None:
        cells = cell_sources.cells_of(space, _CORPUS.value, _NUM_CELLS.value, _SEED.value)
    elif _CORPUS.value is None:
        cells = cell_sources.read_architectures(space, _ARCHITECTURES.value)
    else:
        raise ConfigurationError("pass either --corpus or --architectures")
    settings = {
        "program": "embed",
        "encoder": encoder.fingerprint,
        "corpus": _CORPUS.value,
        "architectures": _ARCHITECTURES.value,
        "num_cells": len(cells),
        "seed": _SEED.value,
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = saved.embed_cells(encoder, space, cells, output_dir)
    print(f"{summary['cells']:,} cells in {summary['embed_seconds']:.1f} s (encoder compiled)")


if __name__ == "__main__":
    tfnas_flags.run(main)

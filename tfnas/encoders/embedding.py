"""From an exported encoder and cells to a table of embeddings: what `trainers.embed` and the demo call."""

import pathlib
import time
from typing import Any

from tfnas import artefacts
from tfnas.encoders import saved
from tfnas.reports import figures
from tfnas.spaces import Space
from tfnas.spaces.base import CellTable


def embed_cells(
    encoder_dir: artefacts.PathLike, space: Space, cells: CellTable, output_dir: pathlib.Path
) -> dict[str, Any]:
    """Embeds every cell.

    Writes `embeddings/` (table and manifest), `map.png`, `metrics.jsonl` and `summary.json`.

    Args:
      encoder_dir: an exported encoder of the same space.
      space: the space of the cells.
      cells: N cells.
      output_dir: an existing folder.

    Returns:
      The summary, with the seconds that loading the encoder and embedding took together.
    """
    started = time.perf_counter()
    encoder = saved.SavedEncoder(encoder_dir)
    encoder.check_space(space)
    values = encoder.embed(cells, progress=True)
    seconds = time.perf_counter() - started
    saved.write_embedding_table(output_dir / "embeddings", encoder, cells, values)
    figures.embedding_map(values, [], [], output_dir / "map.png", title=f"{space.name}: embeddings")
    summary = {
        "space": space.name,
        "cells": len(cells),
        "embedding_dim": values.shape[1],
        "load_and_embed_seconds": seconds,
        "cells_per_second": len(cells) / seconds,
        "encoder_sha256": encoder.fingerprint,
    }
    artefacts.write_json_lines(output_dir / "metrics.jsonl", [summary])
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary

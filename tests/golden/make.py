"""Makes the golden files of this version: `python -m tests.golden.make FOLDER`.

What was released stays as it is; a new version of a format adds a folder beside the old one.
"""

import pathlib
import sys

import numpy as np

from tests.small_runs import make_inputs
from tfnas import saved_models
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders import corpus
from tfnas.encoders.arch2vec import saved
from tfnas.networks import symbolic
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index
from tfnas.spaces import NASBench201

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory"]
ROWS = [0, 777, 15624]
HEADER = {"space": "nasbench201", "config": {"epochs": 3}}
TRIAL = {"validation": 0.5, "test": 0.25, "cost_seconds": 1.5, "failure": ""}


def main(folder: pathlib.Path) -> None:
    """Writes every format once, a few records each."""
    space = NASBench201()
    cells = space.enumerate()[ROWS]
    cell_corpora.write_cells(folder / "cells", space, cells, num_shards=2)
    graphs = [symbolic.build(space, space.architecture(cells, row), name=f"n{row}") for row in range(3)]
    graph_corpora.write_graphs(folder / "graphs", graphs, num_shards=2)
    encoder = saved.SavedCellEncoder(saved_models.SHIPPED / "arch2vec_nasbench201")
    (folder / "sharded").mkdir()
    corpus.embed_corpus(encoder.folder, folder / "cells", folder / "sharded", beam_options=IN_MEMORY)
    saved.write_embedding_table(folder / "embeddings", encoder, cells, encoder.embed(cells))
    TrialLog(folder / "trials.jsonl", HEADER).add("a", TRIAL)
    collection = Collection.from_graphs(graphs)
    vectors = np.eye(3, 4, dtype=np.float32)
    Index(vectors, collection.names, collection.sources, collection.families, collection).save(folder / "index")
    made = make_inputs(folder / "inputs")
    (made / "jacobians").rename(folder / "jacobians")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

"""Speed of motifs, of the index and of embedding for retrieval.

  python -m perf.retrieval [--vectors=423624] [--dim=128]

Prints graphs per second of one core: nodes in order with their codes, motifs mined, graphs cut (DARTS networks of 8
cells); seconds of 1,000 queries by the index and by FAISS over random vectors; networks that the shipped encoders embed
per processor second; processor seconds of an update of the motif encoder with and without XLA.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from tfnas.encoders.colour.saved import SavedColourEncoder
from tfnas.encoders.motif.config import preset
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.encoders.motif.task import RetrievalTask
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.mining import MotifVocabulary, sequences
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.retrieval.collection import read_collection
from tfnas.retrieval.index import Index
from tfnas.saved_models import SHIPPED
from tfnas.spaces import get_space
from tfnas.training import loop


def timed(work: Callable[[], object], repeats: int = 3) -> float:
    """Processor seconds of the fastest of some runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--vectors", type=int, default=423_624)
    parser.add_argument("--dim", type=int, default=128)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    space = get_space("nasbench301")
    graphs = pack_cells(space, space.sample(options.graphs, rng), layout="benchmark")
    config = MotifConfig(steps=1, max_length=8)
    vocabulary = MotifVocabulary.mined(config, graphs)
    size = graphs.num_nodes.mean()
    print(f"{options.graphs} networks of NAS-Bench-301 of {size:.0f} operators; per second, one core:")
    for name, work in (
        ("in order with codes", lambda: sequences(graphs, 1)),
        ("motifs mined", lambda: MotifVocabulary.mined(config, graphs)),
        ("cut into motifs, with macro graphs", lambda: vocabulary.split(graphs)),
    ):
        print(f"  {name:35s} {options.graphs / timed(work):8.0f}")

    points = rng.normal(size=(options.vectors, options.dim)).astype(np.float32)
    names = np.arange(options.vectors).astype(str)
    index = Index(points, names, np.full(len(names), "x"), np.full(len(names), ""))
    queries = rng.normal(size=(1000, options.dim))
    print(f"1,000 queries, 10 answers each, {options.vectors:,} vectors of {options.dim} numbers, seconds, all cores:")
    for backend in ("tensorflow", "faiss"):
        index.search(queries[:1], 10, backend=backend)
        start = time.perf_counter()
        index.search(queries, 10, backend=backend)
        print(f"  {backend:35s} {time.perf_counter() - start:8.2f}")

    encoder, collection = SavedMotifEncoder(), read_collection(SHIPPED / "architecture_index" / "graphs.npz")
    print("networks embedded per processor second:")
    for name, chosen in (("by colours", SavedColourEncoder()), ("by motifs, cut first", encoder)):
        for data, packed in (("NAS-Bench-301", graphs), ("the index", collection.graphs)):
            chosen.embed(packed[np.arange(50)])
            seconds = timed(lambda encode=chosen.embed, given=packed: encode(given))
            label = f"{name}, {data} ({packed.num_nodes.mean():.0f} operators)"
            print(f"  {label:48s} {len(packed) / seconds:8.0f}")

    models = collection[:300].graphs.with_own_families()
    levels = encoder.splitter(models)
    schedule = loop.TrainingConfig(epochs=1, batch_size=64, seed=1, clip_norm=5.0)
    rows, weights = loop.epoch_batches(len(levels), schedule, 1)
    print("an update of the preset tfnas (128 of 300 models of the index), processor seconds:")
    for name, compiled in (("as it is trained", False), ("by XLA", True)):
        task = RetrievalTask(preset("tfnas"), levels, 1, 1)
        task.jit_compile = compiled
        task.optimizer.build(task.model.trainable_variables)
        run = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), 3, True)
        arguments = (tf.constant(rows[:3]), tf.constant(weights[:3]), task.draw(tf.constant([1, 2]), 3, 64))
        run(*arguments, tf.constant(1))
        print(f"  {name:35s} {timed(lambda work=run, given=arguments: work(*given, tf.constant(3)), 1) / 3:8.2f}")


if __name__ == "__main__":
    main()

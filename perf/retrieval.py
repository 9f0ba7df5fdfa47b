"""Speed of motifs, of the index, of embedding and of answers for retrieval.

  python -m perf.retrieval [--vectors=423624] [--dim=128]

Measures, with the shipped index where an index is meant:

- processor seconds of `import tensorflow` and of the first answer of `tfnas retrieve` for a ResNet-50 as a .keras file,
  with and without a page, in turn, each in a process of its own; processor seconds of a further model in one process;
- the slowest of 60 queries by indexed architectures, among them the largest, and processor seconds of adding a model;
- graphs per processor second on one thread: nodes in order with their codes, motifs mined, graphs cut (DARTS networks
  of 8 cells);
- seconds of 1,000 queries by the index and by FAISS over random vectors;
- networks that the shipped encoders embed per processor second, and processor seconds of an update of the motif encoder
  with and without XLA, which are printed alone.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from perf.results import Figure, record
from tfnas import runtime
from tfnas.corpora import graphs as graph_corpora
from tfnas.encoders.colour.saved import SavedColourEncoder
from tfnas.encoders.motif.config import preset
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.encoders.motif.task import RetrievalTask
from tfnas.graphs.importers import import_model
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.mining import MotifVocabulary, sequences
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.retrieval import builder
from tfnas.retrieval.collection import read_collection
from tfnas.retrieval.index import Index
from tfnas.retrieval.relatives import Retriever
from tfnas.saved_models import SHIPPED
from tfnas.spaces import get_space
from tfnas.training import loop

_ROUNDS, _QUERIES = 3, 60


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of a run."""
    start = time.process_time()
    work()
    return time.process_time() - start


def process_seconds(*command: object) -> float:
    """Processor seconds of a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def answers(folder: pathlib.Path) -> list[Figure]:
    """First answers beside TensorFlow's import, further models, the slowest query, and a model more in the index."""
    models = {"ResNet-50": keras.applications.ResNet50, "EfficientNet-B0": keras.applications.EfficientNetB0}
    for name, model in models.items():
        model(weights=None).save(folder / f"{name}.keras")
    ask = ("-m", "trainers.retrieve", f"--model={folder}/ResNet-50.keras")
    programs: dict[str, tuple[object, ...]] = {
        "import tensorflow": ("-c", "import tensorflow"),
        "tfnas, without a page": ask,
        "tfnas, with a page": (*ask, f"--output_dir={folder}/out", "--overwrite"),
    }
    first: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(_ROUNDS):
        for name, command in programs.items():
            first[name].append(process_seconds(*command))
    retriever = Retriever.load()
    retriever.relatives(str(folder / "ResNet-50.keras"))
    further: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_ROUNDS):
        for name, seconds in further.items():
            path = str(folder / f"{name}.keras")
            seconds.append(timed(lambda model=path: retriever.relatives(model)))
    index = retriever.index
    sizes = index.collection.graphs.num_nodes
    rows = np.append(np.linspace(0, len(index) - 1, _QUERIES - 1).astype(int), sizes.argmax())
    queries = [timed(lambda name=str(index.names[row]): retriever.relatives(name)) for row in rows.tolist()]
    graph = import_model(folder / "EfficientNet-B0.keras").replace(name="new", source="mine", family="mine")
    graph_corpora.write_graphs(folder / "corpus", [graph])

    def add() -> None:
        holding = builder.gather([folder / "corpus"], retriever.encoder, add_to=SHIPPED / "architecture_index")
        builder.build_index(holding, retriever.encoder, folder / "index", index.calibration)

    added = tuple(timed(add) for _ in range(_ROUNDS))
    goals = {"tfnas, without a page": "<= 6 s", "tfnas, with a page": "<= 6 s"}
    work = "first answer for a .keras file"
    return [
        *(Figure(work, name, tuple(values), "CPU-seconds", goals.get(name, "")) for name, values in first.items()),
        *(
            Figure(f"further model ({name})", "tfnas", tuple(values), "CPU-seconds", "<= 0.5 s")
            for name, values in further.items()
        ),
        Figure(f"slowest of {_QUERIES} queries by indexed architectures", "tfnas", (max(queries),), "CPU-seconds"),
        Figure(f"median of {_QUERIES} queries by indexed architectures", "tfnas", tuple(queries), "CPU-seconds"),
        Figure("adding a model to the index", "tfnas", added, "CPU-seconds"),
    ]


def motifs(graphs: PackedGraphs) -> list[Figure]:
    """Motifs mined and cut."""
    config = MotifConfig(steps=1, max_length=8)
    vocabulary = MotifVocabulary.mined(config, graphs)
    goals = {"cut into motifs, with macro graphs": ">= 2,000"}
    size = f"networks of NAS-Bench-301 of {graphs.num_nodes.mean():.0f} operators"
    return [
        Figure(
            f"{size}: {name}",
            "tfnas",
            tuple(len(graphs) / timed(work) for _ in range(_ROUNDS)),
            "networks per CPU-second",
            goals.get(name, ""),
        )
        for name, work in (
            ("in order with codes", lambda: sequences(graphs, 1)),
            ("motifs mined", lambda: MotifVocabulary.mined(config, graphs)),
            ("cut into motifs, with macro graphs", lambda: vocabulary.split(graphs)),
        )
    ]


def searches(count: int, width: int) -> list[Figure]:
    """A thousand queries over random vectors."""
    rng = np.random.default_rng(0)
    names = np.arange(count).astype(str)
    points = rng.normal(size=(count, width)).astype(np.float32)
    index = Index(points, names, np.full(count, "x"), np.full(count, ""))
    queries = rng.normal(size=(1000, width))
    backends = {"TensorFlow": "tensorflow", "FAISS flat": "faiss"}
    values: dict[str, list[float]] = {name: [] for name in backends}
    for backend in backends.values():
        index.search(queries[:1], 10, backend=backend)
    for _ in range(_ROUNDS):
        for name, backend in backends.items():
            values[name].append(timed(lambda by=backend: index.search(queries, 10, backend=by)))
    work = f"1,000 queries for 10 of {count:,} vectors of {width} numbers"
    return [Figure(work, name, tuple(seconds), "CPU-seconds") for name, seconds in values.items()]


def encoders(graphs: PackedGraphs) -> list[Figure]:
    """Embeddings by the shipped encoders, and an update of the motif encoder."""
    encoder, collection = SavedMotifEncoder(), read_collection(SHIPPED / "architecture_index" / "graphs.npz")
    measured = []
    for name, chosen in (("colours", SavedColourEncoder()), ("motifs, cut first", encoder)):
        for data, packed in (("NAS-Bench-301", graphs), ("the index", collection.graphs)):
            chosen.embed(packed[np.arange(50)])
            rates = tuple(
                len(packed) / timed(lambda encode=chosen.embed, given=packed: encode(given)) for _ in range(_ROUNDS)
            )
            work = f"embedding by {name}: {data}, {packed.num_nodes.mean():.0f} operators"
            measured.append(Figure(work, "tfnas", rates, "networks per CPU-second"))
    models = collection[:300].graphs.with_own_families()
    levels = encoder.splitter(models)
    schedule = loop.TrainingConfig(epochs=1, batch_size=64, seed=1, clip_norm=5.0)
    rows, weights = loop.epoch_batches(len(levels), schedule, 1)
    for name, compiled in (("as it is trained", False), ("compiled by XLA", True)):
        task = RetrievalTask(preset("tfnas"), levels, 1, 1)
        task.jit_compile = compiled
        task.optimizer.build(task.model.trainable_variables)
        run = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), 3, True)
        arguments = (tf.constant(rows[:3]), tf.constant(weights[:3]), task.draw(tf.constant([1, 2]), 3, 64))
        run(*arguments, tf.constant(1))
        seconds = tuple(
            timed(lambda work=run, given=arguments: work(*given, tf.constant(3))) / 3 for _ in range(_ROUNDS)
        )
        measured.append(Figure("an update of the motif encoder on 128 models", name, seconds, "CPU-seconds"))
    return measured


def main() -> None:
    """Records and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--vectors", type=int, default=423_624)
    parser.add_argument("--dim", type=int, default=128)
    options = parser.parse_args()
    runtime.one_thread_per_operation()
    space = get_space("nasbench301")
    graphs = pack_cells(space, space.sample(options.graphs, np.random.default_rng(0)), layout="benchmark")
    with tempfile.TemporaryDirectory() as folder:
        figures = answers(pathlib.Path(folder))
    figures += [*motifs(graphs), *searches(options.vectors, options.dim), *encoders(graphs)]
    record("retrieval", figures, {"rounds": _ROUNDS})


if __name__ == "__main__":
    main()

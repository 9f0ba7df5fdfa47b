"""How far more processes carry: training, embedding of corpora, search.

  python -m perf.scale [--parts=training,embedding,search]

Prints, each side by side in one run:

- training: examples per second of one process on one core, and of two worker processes, each on a core of its own, that
  share the same global batch; their ratio over two is the efficiency;
- embedding: seconds of `trainers.embed_corpus` for corpora of two sizes, by one worker on one core and by two on two;
  the slope between the sizes is what an architecture costs once everything runs, and so what 10^8 cost;
- search: trials per second of 1, 2 and 4 workers, of trainings that keep a core busy, and of trainings that only wait,
  as those of a search whose accelerators are elsewhere.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import tensorflow as tf
import tf_keras
from sklearn.datasets import load_digits
from tqdm import tqdm

from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.corpora import cells as cell_corpora
from tfnas.corpora import spaces
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.saved_models import SHIPPED
from tfnas.search import STRATEGIES, loop
from tfnas.search.engines import ProcessEngine
from tfnas.search.experiment import candidates_of
from tfnas.spaces import Architecture, get_space

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORES = sorted(os.sched_getaffinity(0))


def start(program: str, *flags: object, cores: list[int], **environment: str) -> subprocess.Popen:
    """Starts a binary on some cores, silently."""
    command = [sys.executable, "-m", f"trainers.{program}", *map(str, flags)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


def finish(*processes: subprocess.Popen) -> None:
    """Waits; stops at the first failure."""
    for process in processes:
        _, errors = process.communicate()
        if process.returncode:
            sys.exit(errors[-3000:])


def epoch_seconds(folder: pathlib.Path) -> float:
    """Mean time of an epoch, without the first, which compiles: from the times in the TensorBoard events."""
    times = [
        event.wall_time
        for path in folder.rglob("events.out.tfevents.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        if event.summary.value and event.summary.value[0].tag == "loss"
    ]
    times.sort()
    return (times[-1] - times[0]) / (len(times) - 1)


def training(folder: pathlib.Path) -> None:
    """One process against two workers."""
    graphs = folder / "training_graphs"
    spaces.write_space_corpus(graphs, [(get_space("nasbench201"), 1000)], layout="benchmark", seed=1, num_workers=1)
    epochs = 4
    runs = {
        "arch2vec, batch 32": (15625, "pretrain", "--encoder=arch2vec", "--space=nasbench201"),
        "arch2vec, batch 1,024": (15625, "pretrain", "--encoder=arch2vec", "--space=nasbench201", "--batch_size=1024"),
        "computation graphs, batch 64": (
            1000,
            "pretrain",
            "--encoder=computation_graph",
            f"--corpus={graphs}",
            "--batch_size=64",
        ),
    }
    print(f"training, examples per second\n{'':32s}{'one process':>14s}{'two workers':>14s}{'efficiency':>12s}")
    for number, (name, (count, program, *flags)) in enumerate(runs.items()):
        one, two = folder / f"one{number}", [folder / f"worker{number}{index}" for index in range(2)]
        flags = [*flags, f"--epochs={epochs}"]
        finish(start(program, *flags, f"--output_dir={one}", cores=CORES[:1]))
        workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
        clusters = [
            json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
            for index in range(2)
        ]
        finish(
            *(
                start(
                    program,
                    *flags,
                    "--strategy=multi_worker",
                    f"--output_dir={two[index]}",
                    cores=[CORES[index]],
                    TF_CONFIG=clusters[index],
                )
                for index in range(2)
            )
        )
        alone, together = count / epoch_seconds(one), count / epoch_seconds(two[0])
        print(f"{name:32s}{alone:14,.0f}{together:14,.0f}{together / alone / 2:12.2f}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def embedding(folder: pathlib.Path) -> None:
    """One worker and two, two sizes."""
    space = get_space("nasbench101")
    cells = space.enumerate()
    sizes = {"cells of NAS-Bench-101": (50_000, 400_000), "networks of NAS-Bench-201": (2_000, 10_000)}
    for size in sizes["cells of NAS-Bench-101"]:
        cell_corpora.write_cells(folder / f"cells{size}", space, cells[:size], num_shards=8)
    for size in sizes["networks of NAS-Bench-201"]:
        corpus = folder / f"networks{size}"
        spaces.write_space_corpus(corpus, [(get_space("nasbench201"), size)], layout="benchmark", seed=1, num_workers=2)
    encoders = {"cells of NAS-Bench-101": "arch2vec_nasbench101", "networks of NAS-Bench-201": "cg_encoder"}
    print(f"embedding, seconds\n{'':32s}{'workers':>8s}{'small':>10s}{'large':>10s}{'per second':>12s}{'10^8':>16s}")
    for name, (small, large) in sizes.items():
        stem = name.split()[0]
        for workers in (1, 2):
            seconds = {}
            for size in (small, large):
                out = folder / f"{stem}{size}by{workers}"
                flags = [f"--encoder={SHIPPED / encoders[name]}", f"--corpus={folder / f'{stem}{size}'}"]
                flags += [f"--output_dir={out}", f"--num_workers={workers}"]
                finish(start("embed_corpus", *flags, cores=CORES[:workers]))
                seconds[size] = json.loads((out / "summary.json").read_text())["seconds"]
            slope = (seconds[large] - seconds[small]) / (large - small)
            print(
                f"{f'{small:,} / {large:,} {stem}':32s}{workers:8d}{seconds[small]:10.1f}{seconds[large]:10.1f}"
                f"{1 / slope:12,.0f}{slope * 1e8 * workers / 3600:9,.1f} core h"
            )


class Waiting(TrainedEvaluator):
    """Waits half a second instead of training."""

    def _fit(self, architecture: Architecture) -> tuple[None, float, float]:
        time.sleep(0.5)
        return None, 0.5, 0.5


def waiting() -> Waiting:
    """Over the space and the images of `busy`."""
    evaluator = busy()
    return Waiting(evaluator.space, None, evaluator.data)


def busy() -> TrainedEvaluator:
    """Short trainings on scikit-learn's digits."""
    digits = load_digits()
    images = (digits.images[..., None] / 16.0).astype("float32"), digits.target
    parts = [tuple(part[rows] for part in images) for rows in (slice(0, 600), slice(600, 800), slice(800, 1000))]
    config = TrainedConfig(epochs=5, batch_size=100)
    return TrainedEvaluator(get_space("nasbench201"), small_network, ImageData(*parts, 10), config)


def small_network(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> tf_keras.Model:
    """The smallest network of a cell."""
    return NASBench201Network(Skeleton(channels=4, cells_per_stage=1, num_classes=num_classes), architecture)


class Times(tqdm):
    """Notes when each trial was told."""

    def __init__(self):
        super().__init__(disable=True)
        self.times: list[float] = []

    def update(self, n: int = 1) -> None:
        self.times.append(time.perf_counter())


def search(folder: pathlib.Path) -> None:
    """1, 2 and 4 workers."""
    encoder = SavedCellEncoder(SHIPPED / "arch2vec_nasbench201")
    print(f"search, trials per second\n{'workers':32s}{'busy':>10s}{'waiting':>10s}")
    for workers in (1, 2, 4):
        found = []
        for make, trials in ((busy, 24), (waiting, 60)):
            evaluator = make()
            candidates = candidates_of(evaluator, encoder)
            out = folder / f"{make.__name__}{workers}"
            with ProcessEngine(evaluator, workers, make) as engine, Times() as bar:
                loop.run_search(STRATEGIES["random"](candidates, [1]), evaluator, trials, out, bar, engine=engine)
            first = 2 * workers  # until then workers start
            found.append((trials - first) / (bar.times[-1] - bar.times[first - 1]))
        print(f"{workers:<32d}{found[0]:10.2f}{found[1]:10.2f}")


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="training,embedding,search")
    chosen = parser.parse_args().parts.split(",")
    if len(CORES) < 2:
        sys.exit("two cores are needed")
    with tempfile.TemporaryDirectory() as folder:
        for part in (training, embedding, search):
            if part.__name__ in chosen:
                part(pathlib.Path(folder))


if __name__ == "__main__":
    main()

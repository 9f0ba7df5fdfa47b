"""How embeddings move while networks train.

References:
  Hesslow and Poli 2021, abstract; no protocol and no code are published, so this one is ours.
"""

import functools
import pathlib

import numpy as np
import tensorflow as tf
import tf_keras
from sklearn.decomposition import PCA

from reproductions import plots, processes, report
from reproductions.jacobian import data
from reproductions.jacobian.settings import Settings
from tfnas.benchmarks.registry import find_table
from tfnas.benchmarks.trained.images import batch_of_images
from tfnas.encoders.jacobian.program import JacobianProgram
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder
from tfnas.networks.initialization import draw_weights
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.runtime import one_thread_per_operation
from tfnas.spaces import Architecture

_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
_STEPS = (0, 5, 20, 80)
_BATCH, _IMAGES = 64, 2000
_RATE, _MOMENTUM = 0.05, 0.9


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `training_paths.png`."""
    nasbench201 = data.load(output_dir, settings, "nasbench201")
    corpus, accuracy = nasbench201.corpus, nasbench201.accuracies["CIFAR-10"]
    folder = data.trained_encoder(output_dir, corpus, settings.seed)
    order = np.argsort(accuracy)
    chosen = [int(order[int(quantile * (len(order) - 1))]) for quantile in _QUANTILES]
    jobs = [
        (
            str(output_dir / "trainings" / f"{row}.npz"),
            str(folder),
            corpus.space.architecture(corpus.cells, row),
            corpus.images,
            settings.seed,
        )
        for row in chosen
    ]
    paths = processes.run(_train, jobs, "Trainings")
    everything = SavedJacobianEncoder(folder).embed(corpus)
    centres = everything.mean(axis=1)
    between = _mean_distance(centres)
    within = np.linalg.norm(everything - centres[:, None], axis=2).mean()
    plane = PCA(2, random_state=0).fit(centres)
    rows, values = [], {}
    for row, (embeddings, losses) in zip(chosen, paths, strict=True):
        moved = np.linalg.norm(embeddings - embeddings[0], axis=1) / between
        name = f"{100 * accuracy[row]:.1f} %"
        rows.append([name, *(f"{value:.2f}" for value in moved[1:]), f"{losses[0]:.2f} → {losses[-1]:.2f}"])
        values[name] = {"moved": moved.tolist(), "losses": losses.tolist(), "row": row}
    plots.paths_in_map(
        plane.transform(centres),
        100 * accuracy,
        {f"cell of {name}": plane.transform(path[0]) for name, path in zip(values, paths, strict=True)},
        output_dir / "training_paths.png",
        label="CIFAR-10 test accuracy %",
    )
    comparison = [
        f"{len(chosen)} cells at quantiles of accuracy, {_STEPS[-1]} updates with batches of {_BATCH} of {_IMAGES} "
        f"CIFAR-10 images (SGD, rate {_RATE}, momentum {_MOMENTUM}); Jacobians over the corpus's {settings.images} "
        "other images, encoder as after training on initialisations alone.",
        "Distances in units of the mean distance between two cells; an initialisation lies "
        f"{within / between:.2f} from the mean of its cell.",
    ]
    columns = ["cell", *(f"moved after {steps} updates" for steps in _STEPS[1:]), "training loss"]
    title = "Embeddings of networks in training"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


def _mean_distance(points: np.ndarray) -> float:
    partners = np.random.default_rng(0).permutation(len(points))
    return float(np.linalg.norm(points - points[partners], axis=1)[partners != np.arange(len(points))].mean())


def _train(job: tuple[str, str, Architecture, np.ndarray, int]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings `[steps, D]` and losses of a batch `[steps]` at `_STEPS`."""
    arrays = report.computed_once(pathlib.Path(job[0]), functools.partial(_trained, *job))
    return arrays["embeddings"], arrays["losses"]


def _trained(
    path: str, folder: str, architecture: Architecture, images: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    one_thread_per_operation()
    processes.quiet(pathlib.Path(path).parent)
    tf_keras.utils.set_random_seed(seed)
    network = NASBench201Network(Skeleton(), architecture, LayerSettings("pytorch"))
    network(images[:1])
    draw_weights(network, seed)
    program = JacobianProgram(network, rule=None, call=lambda batch: network(batch, training=False))
    optimizer = tf_keras.optimizers.SGD(_RATE, _MOMENTUM)
    count = _IMAGES + len(images)  # Jacobians are taken of the first images
    drawn = batch_of_images(find_table("cifar10_subset"), count, seed)
    pixels, labels = (tf.constant(array[len(images) :]) for array in drawn)

    @tf.function
    def update(rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(tf.gather(pixels, rows), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits))
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    rng, jacobians, losses, recent = np.random.default_rng([seed, 44]), [], [], []
    for step in range(_STEPS[-1] + 1):
        if step in _STEPS:
            jacobians.append(program.jacobian(images, (0, 0)).numpy())
        recent.append(float(update(tf.constant(rng.choice(_IMAGES, _BATCH, replace=False)))))
        if step in _STEPS:
            losses.append(np.mean(recent[-5:]))
    embeddings = SavedJacobianEncoder(folder).embed_jacobians(np.stack(jacobians))
    return {"embeddings": embeddings, "losses": np.array(losses)}

"""A search space of your own in one file: multilayer perceptrons, pretrained, embedded and searched without labels.

  python examples/own_space.py OUT

List the architectures, say how one becomes a Keras model, choose the data; nothing in tfnas changes. With a row in
`NETWORKS`, the space also has zero-cost scores, computation graphs (read from the Keras models), and predictions.
"""

import itertools
import pathlib
import sys

import numpy as np
import tf_keras

import tfnas
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.encoders.arch2vec.config import PRESETS
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.encoders.arch2vec.task import Arch2VecPretraining
from tfnas.networks import symbolic
from tfnas.networks.registry import NETWORKS, Network
from tfnas.predictors.saved import SavedPredictor
from tfnas.proxies.spaces import scorer
from tfnas.reports import tables
from tfnas.search import experiment, sized, strategies
from tfnas.spaces import Architecture, FiniteSpace

LAYERS = {"relu_8": (8, "relu"), "relu_64": (64, "relu"), "tanh_8": (8, "tanh"), "tanh_64": (64, "tanh")}


def architectures():
    """One to four layers in a chain, with or without a connection from the input to the output."""
    for depth, skip in itertools.product((1, 2, 3, 4), (0, 1)):
        for names in itertools.product(LAYERS, repeat=depth):
            adjacency = np.eye(depth + 2, k=1, dtype=np.uint8)
            adjacency[0, -1] = skip
            yield Architecture(("input", *names, "output"), adjacency)


SPACE = FiniteSpace("mlp", architectures())


def build(architecture, image_shape, num_classes):
    """The Keras model of an architecture: images to logits."""
    inputs = tf_keras.Input(image_shape)
    values = pixels = tf_keras.layers.Flatten()(inputs)
    for name in architecture.operations[1:-1]:
        units, activation = LAYERS[name]
        values = tf_keras.layers.Dense(units, activation)(values)
    if architecture.adjacency[0, -1]:
        values = tf_keras.layers.Concatenate()([values, pixels])
    return tf_keras.Model(inputs, tf_keras.layers.Dense(num_classes)(values))


NETWORKS[SPACE.name] = Network(build, image_shape=(8, 8, 1))


def scores_and_predictions(data: ImageData, count: int) -> str:
    """A table of random architectures: zero-cost scores, and what the shipped predictor says of their graphs."""
    images, labels = (array[:32] for array in data.train)
    score = scorer(SPACE, images, labels, ("snip", "jacov"))
    cells = SPACE.sample(count, np.random.default_rng(1))
    architectures = [SPACE.architecture(cells, row) for row in range(count)]
    predictions = SavedPredictor().predict_all([symbolic.build(SPACE, architecture) for architecture in architectures])
    rows = [
        [" ".join(architecture.operations[1:-1]), *score(architecture).values(), prediction.score, prediction.distance]
        for architecture, prediction in zip(architectures, predictions, strict=True)
    ]
    columns = ["layers", "snip", "jacov", "predicted score", "distance from known networks"]
    return tables.markdown(columns, [[name, *(f"{value:.3g}" for value in values)] for name, *values in rows])


def main(output_dir: pathlib.Path, epochs: int = 40, queries: int = 30) -> None:
    for name in ("pretrain", "search"):
        (output_dir / name).mkdir(parents=True)
    pretraining = Arch2VecPretraining(PRESETS["tfnas"], SPACE, SPACE.enumerate())
    pretraining.run(output_dir / "pretrain", epochs=epochs, seed=1)
    encoder = SavedCellEncoder(output_dir / "pretrain" / "encoder")
    data = ImageData.digits()
    evaluator = TrainedEvaluator(
        SPACE, build, data, TrainedConfig(epochs=5), output_dir / "trained.jsonl", network="mlp"
    )
    candidates = experiment.candidates_of(evaluator, encoder)
    makers = sized(strategies(["additive", "evolution", "random"]), queries)
    comparison = experiment.compare(
        makers, candidates, evaluator, queries=queries, runs=2, seed=1, folder=output_dir / "search"
    )
    comparison.save(output_dir / "search")
    print(comparison)
    print(comparison.best.hand_over(evaluator, output_dir / "best_model"))
    print(scores_and_predictions(data, 5))


if __name__ == "__main__":
    tfnas.runtime.one_thread_per_operation()
    main(pathlib.Path(sys.argv[1]))

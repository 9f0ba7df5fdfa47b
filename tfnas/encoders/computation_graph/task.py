"""Contrastive pretraining, from packed graphs to an exported encoder."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora.graphs import load_graphs
from tfnas.encoders.computation_graph import similarity
from tfnas.encoders.computation_graph.config import GraphEncoderConfig
from tfnas.encoders.computation_graph.export import export
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.contrastive import contrastive_losses, members
from tfnas.encoders.pretraining import Pretraining
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.packed import DeviceGraphs, PackedGraphs, embed_packed, pack
from tfnas.training.loop import Minibatch, Task, adam

_IN_MAP = 2000


class ContrastiveTask(Task):
    """Trains a `GraphEncoder` so that similar graphs of one family lie close together.

    Args:
      config: network, loss and optimiser.
      graphs: N graphs; their labels are not used.
      seed: seed of the initial weights.
      epochs: length of the run, over which the learning rate falls.
      points: float `[N, K]`, result of `similarity.descriptors`; computed by default.
      replicas: number of replicas over which every batch is split.

    Raises:
      ConfigurationError: a family has too few graphs for every anchor to have a partner.
    """

    metric_names = ("loss", "left_out")
    jit_compile = False  # XLA needs to know how many distinct neighbourhoods there are

    def __init__(
        self,
        config: GraphEncoderConfig,
        graphs: PackedGraphs,
        seed: int,
        epochs: int,
        points: np.ndarray | None = None,
        replicas: int = 1,
    ):
        self.config = config
        if points is None:
            points = similarity.descriptors(graphs, config.similarity)
        self.model = GraphEncoder(config, seed)
        steps = epochs * -(-len(graphs) // config.batch_size)
        self.optimizer = adam(config.learning_rate, steps)
        self.num_examples = len(graphs)
        self._neighbours = tf.constant(similarity.nearest(points, graphs, config.num_neighbours))
        self._graphs = DeviceGraphs(graphs, 2 * config.batch_size // replicas)
        self.data = (tf.range(len(graphs)), tf.constant(graphs.family), tf.constant(points))

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        count = self.config.num_neighbours
        return {"neighbour": tf.random.stateless_uniform([steps, batch_size], seed, 0, count, tf.int32)}

    def loss(self, batch: Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        rows, family, points = batch.data
        partners = tf.gather(tf.gather(self._neighbours, rows), batch.draws["neighbour"], batch_dims=1)
        flat, fits = self._graphs.batch(tf.concat([rows, partners], 0))
        weights = tf.concat([batch.weights, batch.weights], 0)
        anchors, every = members(
            self.model.project(self.model.encode(flat, self._graphs.features)),
            tf.concat([family, family], 0),
            tf.concat([points, tf.gather(self.data[2], partners)], 0),
            weights * fits,
        )
        config = self.config
        losses = contrastive_losses(
            anchors,
            every,
            kind=config.loss,
            temperature=config.temperature,
            similarity_temperature=config.similarity_temperature,
            relative_temperature=config.relative_temperature,
            favour_distant=config.favour_distant,
        )
        loss = tf.reduce_sum(losses) / (2.0 * batch.total_weight)
        left_out = tf.reduce_sum(weights * (1.0 - fits))
        return loss, {"loss": loss, "left_out": left_out}


class GraphPretraining(Pretraining):
    """Pretraining of the computation-graph encoder.

    Args:
      config: network, loss and optimiser.
      graphs: N graphs of one or more families.
      points: float `[N, K]`, result of `similarity.descriptors`; computed by default.
    """

    title = "contrastive pretraining"
    map_title = "embeddings of computation graphs"

    def __init__(self, config: GraphEncoderConfig, graphs: PackedGraphs, points: np.ndarray | None = None):
        self.config = config
        self.graphs = graphs
        self.points = points

    @classmethod
    def read(cls, config: GraphEncoderConfig, inputs: Corpora, seed: int) -> "GraphPretraining":
        return cls(config, load_graphs(inputs.corpus))

    @classmethod
    def for_export(cls, config: GraphEncoderConfig, inputs: Corpora, seed: int) -> "GraphPretraining":
        return cls(config, pack([smallest_graph()]))

    def check(self) -> None:
        gnn.load()  # which the export needs
        if len(self.graphs) < self.config.batch_size:
            raise ConfigurationError(
                f"{len(self.graphs)} graphs, expected at least batch_size={self.config.batch_size}"
            )

    def new_model(self) -> GraphEncoder:
        return GraphEncoder(self.config)

    def task(self, stage: str, model: GraphEncoder | None, seed: int, epochs: int, replicas: int) -> ContrastiveTask:
        return ContrastiveTask(self.config, self.graphs, seed, epochs, self.points, replicas)

    def facts(self) -> dict[str, Any]:
        counts = np.bincount(self.graphs.family, minlength=len(self.graphs.families))
        return {
            "graphs": len(self.graphs),
            "families": dict(zip(self.graphs.families, counts.tolist(), strict=True)),
        }

    def export(self, model: GraphEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        return export(model, folder, **facts)

    def mapped(self, model: GraphEncoder, seed: int) -> tuple[np.ndarray, list[str]]:
        rows = np.random.default_rng(seed).permutation(len(self.graphs))[:_IN_MAP]
        shown = self.graphs[np.sort(rows)]
        embeddings = embed_packed(tf.function(model.encode, autograph=False, reduce_retracing=True), shown)
        return embeddings, [shown.families[family] for family in shown.family]

    def headline(self, summary: Mapping[str, Any]) -> str:
        return f"{summary['graphs']} graphs of {len(summary['families'])} families, loss {summary['loss']:.4f}"

"""The motif encoder's learning, from packed graphs to an exported encoder."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora.graphs import by_name, read_graphs
from tfnas.encoders.contrastive import Members, contrastive_losses, members
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.export import export
from tfnas.encoders.motif.losses import geometry, motif_discriminator, motif_infonce, pooled_contrast
from tfnas.encoders.motif.model import MotifEncoder
from tfnas.encoders.motif.splitting import Splitter
from tfnas.encoders.pretraining import Pretraining
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.graphs.motifs.two_level import DeviceTwoLevel, TwoLevelBatch, TwoLevelGraphs, embed_two_level
from tfnas.graphs.motifs.weisfeiler_lehman import distinct
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.training.loop import Minibatch, Task, adam


class RetrievalTask(Task):
    """Trains a `MotifEncoder` so that graphs of one family lie close together, and motifs close to their contexts.

    Args:
      config: network, losses and optimiser.
      graphs: N graphs with families.
      seed: seed of the initial weights.
      epochs: length of the run, over which the learning rate falls.
      stage: losses that are trained: `joint` (all), `motif` (of motifs alone) or `graph` (of graphs, on frozen motifs).
      model: model to continue with; a new model by default.
      replicas: number of replicas over which every batch is split.

    Raises:
      ConfigurationError: the batch can't be split.
    """

    jit_compile = False  # ten times fewer processor seconds per update; perf/retrieval.py measures it
    metric_names = ("loss", "motif_loss", "graph_loss", "geometry_loss", "class_loss", "left_out")

    def __init__(
        self,
        config: MotifEncoderConfig,
        graphs: TwoLevelGraphs,
        seed: int,
        epochs: int,
        stage: str = "joint",
        model: MotifEncoder | None = None,
        replicas: int = 1,
    ):
        if config.batch_size % replicas:
            raise ConfigurationError(f"batch_size={config.batch_size} can't be split over {replicas} replicas")
        self.config, self.stage = config, stage
        self.model = model or MotifEncoder(config, len(graphs.graphs.families), seed)
        steps = epochs * -(-len(graphs) // config.batch_size)
        self.optimizer = adam(config.learning_rate, steps)
        self.num_examples = len(graphs)
        self._graphs = DeviceTwoLevel(graphs, 2 * config.batch_size // replicas)
        family = graphs.graphs.family
        by_family = np.argsort(family, kind="stable").astype(np.int32)
        sizes = np.bincount(family, minlength=len(graphs.graphs.families)).astype(np.int32)
        number = np.empty(len(family), np.int32)  # of a graph within its family
        starts = np.cumsum(sizes) - sizes
        number[by_family] = np.arange(len(family)) - starts[family[by_family]]
        self._by_family, self._sizes = tf.constant(by_family), tf.constant(sizes)
        self._starts = tf.constant(starts.astype(np.int32))
        self.data = (tf.range(len(graphs)), tf.constant(family), tf.constant(number))

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        return {
            "relative": tf.random.stateless_uniform([steps, batch_size], seed, 0.0, 1.0),
            "seed": tf.random.stateless_uniform([steps, batch_size, 2], seed + 1, 0, 2**30, tf.int32),
        }

    def loss(self, batch: Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        config = self.config
        rows, family, number = batch.data
        size = tf.gather(self._sizes, family)
        step = 1 + tf.cast(batch.draws["relative"] * tf.cast(size - 1, tf.float32), tf.int32)
        relative = tf.gather(self._by_family, tf.gather(self._starts, family) + (number + step) % size)
        graphs, fits = self._graphs.batch(tf.concat([rows, relative], 0))
        alone = tf.cast(size > 1, tf.float32)
        weights = tf.concat([batch.weights, batch.weights * alone], 0) * fits
        families = tf.concat([family, family], 0)
        seed, dropout = batch.draws["seed"][0], config.dropout if batch.training else 0.0
        share = tf.reduce_sum(batch.weights) / batch.total_weight  # of this replica
        features = self._graphs.features
        motif_loss = graph_loss = geometry_loss = class_loss = tf.constant(0.0)
        motifs = self.model.motif_states(graphs, features, dropout, seed)
        if self.stage != "graph" and config.motif_loss != "none":
            motif_loss = share * self._motif_loss(graphs, motifs, features, weights, seed)
        if self.stage != "motif":
            if self.stage == "graph":
                motifs = tf.stop_gradient(motifs)
            vectors = self.model.readout_of(graphs, motifs, dropout, seed)
            learned = tf.math.l2_normalize(vectors, axis=1)
            anchors, every = members(learned, families, graphs.neighbourhoods, weights)
            graph_loss = self._graph_loss(anchors, every, batch.total_weight)
            if config.geometry_weight:
                geometry_loss = geometry(anchors, every)
            if config.class_weight:
                logits = self.model.classifier(vectors)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(families, logits)
                class_loss = tf.reduce_sum(weights * losses) / (2.0 * batch.total_weight)
        loss = config.motif_weight * motif_loss + graph_loss + config.class_weight * class_loss
        loss += config.geometry_weight * geometry_loss
        left_out = tf.reduce_sum(1.0 - fits)
        values = (loss, motif_loss, graph_loss, geometry_loss, class_loss, left_out)
        return loss, dict(zip(self.metric_names, values, strict=True))

    def _motif_loss(
        self, graphs: TwoLevelBatch, motifs: tf.Tensor, features: tf.Tensor, weights: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        contexts, known = self.model.context_states(graphs, features)
        known *= tf.gather(tf.pad(tf.cast(weights > 0, tf.float32), ((0, 1),)), graphs.macro.node_graph)
        if self.config.motif_loss == "discriminator":
            return motif_discriminator(motifs, contexts, known, graphs, self.model.discriminator)
        shares = tf.random.stateless_uniform([self.config.motif_anchors], seed + 3)
        total = tf.cast(tf.reduce_sum(graphs.macro.sizes), tf.float32)
        picked = tf.minimum(tf.cast(shares * total, tf.int32), tf.shape(motifs)[0] - 1)
        return motif_infonce(motifs, contexts, known, graphs, picked, self.config.motif_temperature)

    def _graph_loss(self, anchors: Members, every: Members, total_weight: tf.Tensor) -> tf.Tensor:
        if self.config.graph_loss == "none":
            return tf.constant(0.0)
        if self.config.graph_loss == "pooled":
            whole = pooled_contrast(every.projection, every.family, every.weight)
            return whole / tf.cast(tf.distribute.get_replica_context().num_replicas_in_sync, tf.float32)
        # Descriptors weigh positive graphs in another encoder's loss, never in this one.
        losses = contrastive_losses(anchors, every, kind="supcon", temperature=self.config.temperature)
        return tf.reduce_sum(losses) / (2.0 * total_weight)


class MotifPretraining(Pretraining):
    """Training of the motif encoder for retrieval.

    Args:
      config: network, losses and optimiser.
      graphs: N graphs of at least two families.

    Attributes:
      splitter: cutter of graphs into motifs that recur in `graphs`.
      levels: the graphs and their motifs.

    Raises:
      ConfigurationError: no motif recurs.
    """

    title = "training for retrieval"
    map_title = "embeddings of the training graphs"

    def __init__(self, config: MotifEncoderConfig, graphs: PackedGraphs):
        self.config = config
        self.graphs = graphs
        self.splitter = Splitter.learned(config, graphs)
        self.levels = self.splitter(graphs)
        self.stages = ("motif", "graph") if config.stages == "two_stage" else ("joint",)

    @classmethod
    def read(cls, config: MotifEncoderConfig, inputs: Corpora, seed: int) -> "MotifPretraining":
        graphs = pack(by_name(graph for folder in inputs.corpus for graph in read_graphs(folder)).values())
        return cls(config, graphs[distinct(graphs)].with_own_families())

    def check(self) -> None:
        gnn.load()  # which the export needs
        if len(self.graphs.families) < 2:
            raise ConfigurationError(f"{len(self.graphs.families)} family, expected at least two to tell apart")

    def new_model(self) -> MotifEncoder:
        return MotifEncoder(self.config, len(self.graphs.families))

    def task(self, stage: str, model: MotifEncoder | None, seed: int, epochs: int, replicas: int) -> RetrievalTask:
        return RetrievalTask(self.config, self.levels, seed, epochs, stage, model, replicas)

    def facts(self) -> dict[str, Any]:
        return {
            "graphs": len(self.graphs),
            "motifs": int(self.levels.macro.num_nodes.sum()),
            "families": len(self.graphs.families),
        }

    def export(self, model: MotifEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        return export(model, self.splitter, folder, **facts)

    def mapped(self, model: MotifEncoder, seed: int) -> tuple[np.ndarray, list[str]]:
        embeddings = embed_two_level(tf.function(model.encode, autograph=False, reduce_retracing=True), self.levels)
        return embeddings, [self.graphs.families[family] for family in self.graphs.family]

    def headline(self, summary: Mapping[str, Any]) -> str:
        return f"{summary['graphs']} models of {summary['families']} families, loss {summary['loss']:.4f}"

"""Settings of arch2vec, and the three presets: the paper, its published code, and tfnas.

References:
  Yan et al. 2020, "Does Unsupervised Architecture Representation Learning Help Neural Architecture Search?",
  sections 3.1-3.2 and appendix.
"""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import GradientConfig, changed_preset
from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Arch2VecConfig(GradientConfig):
    """Settings of arch2vec: all that decides a pretraining besides data and seed.

    Attributes:
      message_passing: `gin` (graph isomorphism layers) or `gcn` (graph convolutions, as GAE and VGAE have them).
      hidden_dims: width of each message-passing layer.
      mlp_depth: linear, batch-norm, ReLU triplets in each graph isomorphism layer.
      directed_messages: whether graph isomorphism layers weigh messages from successors apart from messages of
        predecessors. Without the weight (the paper's A + A') cells that differ in the direction of edges alone can look
        the same.
      embedding_dim: D.
      pooling: `sum` or `mean` of the vertex means.
      mask_padding: whether vertices that a smaller cell lacks stay out of batch statistics, pooling and loss.
      operation_likelihood: `softmax` (categorical) or `sigmoid` (one Bernoulli per column).
      variational: whether latents are drawn from the posterior and the loss counts its divergence; otherwise the
        decoder gets the means, and the loss has no divergence.
      decoder: decoder of edges. `inner_product` (the paper's) reads the latents of an edge's two vertices; `bilinear`
        reads the latents of the two vertices through a hidden layer, and then through a vector for the source and a
        vector for the target of an edge; `joint` reads all latents of the cell through a hidden layer. Two vertices
        that a symmetry of the cell exchanges have equal latents, so that two latents alone do not tell which edges
        belong together. An operation is decoded linearly from its vertex's latents.
      decoder_dim: width of the hidden layer, and of the bilinear decoder's vectors.
      dropout: share of the latent entries that training zeroes before decoding.
      average_entries: whether reconstruction terms are means over all entries of a matrix instead of sums.
      kl_weight: factor of the Kullback-Leibler term.
      published_kl: whether the Kullback-Leibler term is divided by the number of vertices and of rows once more, as the
        published code does.
      batch_size: cells per update.
      learning_rate: learning rate of Adam.
      decay_learning_rate: whether the learning rate falls to 0 along a cosine instead of staying constant.
      clip_norm: bound on the global gradient norm; 0 for none.
      shuffle_each_epoch: whether every epoch has a new order; otherwise the run has a single order.
      training_mode_epochs: epochs with batch statistics, noise and dropout; later epochs train the network in inference
        mode, as the published code does from its second epoch on; 0 for all epochs in training mode.
    """

    message_passing: str = "gin"
    hidden_dims: tuple[int, ...] = (128, 128, 128, 128)
    mlp_depth: int = 2
    directed_messages: bool = True
    embedding_dim: int = 16
    pooling: str = "sum"
    mask_padding: bool = True
    operation_likelihood: str = "softmax"
    variational: bool = True
    decoder: str = "joint"
    decoder_dim: int = 512
    dropout: float = 0.1
    average_entries: bool = False
    kl_weight: float = 0.02
    published_kl: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-3
    decay_learning_rate: bool = True
    clip_norm: float = 5.0
    shuffle_each_epoch: bool = True
    training_mode_epochs: int = 0

    CHOICES: ClassVar = {
        "message_passing": ("gin", "gcn"),
        "pooling": ("sum", "mean"),
        "operation_likelihood": ("softmax", "sigmoid"),
        "decoder": ("inner_product", "bilinear", "joint"),
    }
    AT_LEAST_ONE = ("mlp_depth", "decoder_dim")
    NOT_NEGATIVE = ("kl_weight", "training_mode_epochs")
    SHARES = ("dropout",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden_dims or min(self.hidden_dims) < 1:
            raise ConfigurationError(f"hidden_dims={self.hidden_dims}, expected one or more widths of at least 1")


@dataclasses.dataclass(frozen=True)
class Arch2VecInputs:
    """Cells that arch2vec learns from.

    Attributes:
      space: search space.
      corpus: folder of TFRecord shards to train on, instead of the whole space.
      num_cells: number of cells to sample from a space that can't be enumerated.
      max_multiply_adds_millions: bound on the multiply-adds, in millions, that the ImageNet network of a sampled DARTS
        cell needs (arch2vec: 600); none by default.
    """

    space: str
    corpus: str | None = None
    num_cells: int = 600_000
    max_multiply_adds_millions: float | None = None


PRESETS = {
    "tfnas": Arch2VecConfig(),
    "paper": Arch2VecConfig(
        hidden_dims=(128, 128, 128, 128, 16),
        mlp_depth=1,
        directed_messages=False,
        decoder="inner_product",
        dropout=0.0,
        kl_weight=1.0,
        decay_learning_rate=False,
        clip_norm=0.0,
    ),
    "published_code": Arch2VecConfig(
        directed_messages=False,
        pooling="mean",
        mask_padding=False,
        operation_likelihood="sigmoid",
        decoder="inner_product",
        dropout=0.3,
        average_entries=True,
        kl_weight=1.0,
        decay_learning_rate=False,
        published_kl=True,
        shuffle_each_epoch=False,
        training_mode_epochs=1,
    ),
}
"""`paper` follows equations 1-5, `published_code` the released program with its departures. `tfnas` is the default."""

preset = functools.partial(changed_preset, PRESETS)
"""One of `PRESETS` with some fields changed; see `settings.changed_preset`."""

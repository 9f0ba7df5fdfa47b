"""Settings of a corpus of Jacobians; no TensorFlow, so that flags can be made from them before it starts."""

import dataclasses

from tfnas.errors import ConfigurationError
from tfnas.networks.rules import RULES

OUTPUTS = ("sum", "classes")
PROJECTIONS = ("leading", "random")


@dataclasses.dataclass(frozen=True)
class JacobianConfig:
    """Settings of a corpus besides architectures, images and seed.

    Attributes:
      initializations: number A of networks per architecture.
      initialization: rule by which weights are drawn, `pytorch` or `keras`.
      outputs: `sum` for gradients of the sum of all logits, `classes` for gradients of every class.
      projection: `leading` for a network's own leading directions, `random` for directions that all networks share.
      components: number k of directions of a Jacobian.
      shard_size: architectures per file.
    """

    initializations: int = 4
    initialization: str = "pytorch"
    outputs: str = "sum"
    projection: str = "leading"
    components: int = 64
    shard_size: int = 50

    def __post_init__(self) -> None:
        for field in ("initializations", "components", "shard_size"):
            if getattr(self, field) < 1:
                raise ConfigurationError(f"{field}={getattr(self, field)}, expected at least 1")
        choices = {"initialization": RULES, "outputs": OUTPUTS, "projection": PROJECTIONS}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ConfigurationError(f"{field}={getattr(self, field)!r}, expected one of {', '.join(known)}")

"""Settings of a corpus of Jacobians; no TensorFlow, so that flags can be made from them before it starts."""

import dataclasses

from tfnas.networks.rules import RULES
from tfnas.settings import check_choices, check_least

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
        check_least(self, initializations=1, components=1, shard_size=1)
        check_choices(self, initialization=RULES, outputs=OUTPUTS, projection=PROJECTIONS)

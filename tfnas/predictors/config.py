"""Settings of predictors; no TensorFlow, so that flags can be made from the classes before TensorFlow starts."""

import dataclasses

from tfnas.errors import ConfigurationError
from tfnas.settings import check_least


@dataclasses.dataclass(frozen=True)
class MLPConfig:
    """Networks and schedules of an ensemble.

    Attributes:
      hidden: widths of the hidden layers.
      members: networks in an ensemble, which differ in initial weights and order of the examples.
      epochs: passes over the source labels.
      batch_size: source labels per update.
      learning_rate: learning rate of Adam on source labels; it falls to 0 along a cosine.
      tune_epochs: passes over the labels of fine-tuning.
      tune_batch_size: labels per update of fine-tuning.
      tune_learning_rate: learning rate of Adam in fine-tuning; it falls to 0 along a cosine.

    Raises:
      ConfigurationError: a number is too small.
    """

    hidden: tuple[int, ...] = (128, 128, 128)
    members: int = 5
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-3
    tune_epochs: int = 100
    tune_batch_size: int = 10
    tune_learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        check_least(self, epochs=1, batch_size=1, tune_epochs=1, tune_batch_size=1)
        if self.members < 2:
            raise ConfigurationError(f"members={self.members}, expected at least 2, whose deviation is the uncertainty")
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigurationError(f"hidden={self.hidden}, expected one or more widths of at least 1")
        if self.learning_rate <= 0 or self.tune_learning_rate <= 0:
            raise ConfigurationError("learning_rate and tune_learning_rate must be above 0")

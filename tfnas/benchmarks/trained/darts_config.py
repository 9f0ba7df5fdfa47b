"""How DARTS networks are trained: the settings of arch2vec's searches, of its final training, and of ImageNet.

References:
  Liu et al. 2019, "DARTS: Differentiable Architecture Search", section 3.2 and appendix A.
  Yan et al. 2020 (arch2vec), section 4.2, tables 4 and 5.
"""

import dataclasses

from tfnas.benchmarks.trained.metrics import check_scoring
from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class DartsTraining:
    """How a DARTS network is trained: SGD with momentum 0.9 and clipped gradients.

    Attributes:
      epochs: passes over the training images.
      batch_size: images per update.
      learning_rate: learning rate of the first epoch.
      decay: factor of the learning rate after every epoch; 0 lets it fall to 0 along a cosine.
      weight_decay: half the sum of all squared weights enters the loss with this factor.
      clip_norm: bound on the global gradient norm.
      auxiliary_weight: factor of the auxiliary classifier's loss.
      drop_path: probability of dropping an operation's output at the end of training; it grows linearly from 0.
      cutout: width of the square that is cut out of every training image; 0 for none.
      crop: whether training images are shifted by up to 4 pixels, and half of the images mirrored.
      label_smoothing: share of the target that is spread over all classes.
      averaged_epochs: number of last epochs whose mean validation accuracy is the score of a training.
      seed: decides initial weights, order, augmentation and dropping.
      metric: score that a search maximises: accuracy, balanced_accuracy, f1 (mean over classes) or auc (one class
        against the rest, mean over classes).
      class_weights: weights of classes in the loss: none, or balanced for weights that are inversely proportional to
        the number of training images of the class.
    """

    epochs: int = 600
    batch_size: int = 96
    learning_rate: float = 0.025
    decay: float = 0.0
    weight_decay: float = 3e-4
    clip_norm: float = 5.0
    auxiliary_weight: float = 0.4
    drop_path: float = 0.2
    cutout: int = 16
    crop: bool = True
    label_smoothing: float = 0.0
    averaged_epochs: int = 1
    seed: int = 1
    metric: str = "accuracy"
    class_weights: str = "none"

    def __post_init__(self) -> None:
        check_scoring(self)
        if not 1 <= self.averaged_epochs <= self.epochs or self.batch_size < 1 or self.cutout < 0:
            raise ConfigurationError(f"{self}: expected 1 <= averaged_epochs <= epochs, batch_size >= 1, cutout >= 0")
        if not (0 <= self.drop_path < 1 and 0 <= self.label_smoothing < 1 and self.learning_rate > 0):
            raise ConfigurationError(f"{self}: expected drop_path and label_smoothing in [0, 1), learning_rate > 0")


TRAININGS = {
    "query": DartsTraining(epochs=50, averaged_epochs=5),
    "final": DartsTraining(),
    "imagenet": DartsTraining(
        epochs=250,
        batch_size=128,
        learning_rate=0.1,
        decay=0.97,
        weight_decay=3e-5,
        drop_path=0.0,
        cutout=0,
        label_smoothing=0.1,
    ),
}
"""What a search does for every query, what the found cell gets in the end (table 4), and its transfer (table 5)."""


def query(epochs: int, image_size: int = 32) -> DartsTraining:
    """The training of the paper's query in any number of epochs; its score is the mean of the last tenth of them.

    Args:
      epochs: passes over the training images.
      image_size: pixels of the images' shorter side. Augmentation is the paper's from 32 pixels on; a quarter of a
        smaller image's side is cut out, and images of less than 16 pixels are neither shifted nor mirrored.
    """
    training = dataclasses.replace(TRAININGS["query"], epochs=epochs, averaged_epochs=max(1, epochs // 10))
    if image_size >= 32:
        return training
    return dataclasses.replace(training, cutout=image_size // 4, crop=image_size >= 16)

"""Settings of benchmarks; no TensorFlow, so that flags can be made from the classes before TensorFlow starts."""

import dataclasses
from collections.abc import Sequence

from tfnas.benchmarks.trained.metrics import check_scoring
from tfnas.errors import ConfigurationError
from tfnas.settings import check_least

SMALL, TINY = 32, 16
"""Pixels of the shorter side below which an image is small, or tiny, and gets cheaper networks by default."""

RANDOM, MEAN = "random", "mean"


def _check_repeat(repeat: str) -> None:
    """Raises ConfigurationError unless a setting names the training that a search sees."""
    if repeat not in (RANDOM, MEAN) and not (repeat.isascii() and repeat.isdigit()):
        raise ConfigurationError(f"--repeat={repeat}, expected {RANDOM}, {MEAN} or the number of a training from 0")


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """Settings of a benchmark without any."""


@dataclasses.dataclass(frozen=True)
class ColumnSettings:
    """Changes to a benchmark that a table answers.

    Attributes:
      table: compact table to read; by default the table that ships with tfnas or lies in the folder TFNAS_DATA_DIR.
      validation_column: column that the search sees; by default the benchmark's.
      test_column: column that only the report sees; by default the benchmark's.
      repeat: training that a search sees where the table holds several per architecture. random for a training that the
        run's seed and the architecture decide; mean for the mean over all trainings; or a training's number from 0.
    """

    table: str | None = None
    validation_column: str | None = None
    test_column: str | None = None
    repeat: str = RANDOM

    def __post_init__(self) -> None:
        _check_repeat(self.repeat)


@dataclasses.dataclass(frozen=True)
class TableSettings:
    """A compact table as a benchmark.

    Attributes:
      table: compact table to read.
      validation_column: column that the search sees.
      test_column: column that only the report sees.
      repeat: training that a search sees where the table holds several per architecture. random for a training that the
        run's seed and the architecture decide; mean for the mean over all trainings; or a training's number from 0.
    """

    table: str
    validation_column: str
    test_column: str
    repeat: str = RANDOM

    def __post_init__(self) -> None:
        _check_repeat(self.repeat)


@dataclasses.dataclass(frozen=True)
class CellSettings:
    """Trainings of NAS-Bench-201 cells on a user's images.

    Attributes:
      data: images, as an .npz file of the arrays images and labels (or x and y) or x_train, y_train, x_test and y_test,
        or as a folder of image files per class.
      image_size: pixels that images of a folder are resized to; by default all images must be of one size.
      train_epochs: epochs of every training.
      channels: width of the networks' first stage; by default 16, and 8 for images of less than 32 pixels.
      cells_per_stage: cells in each of the three stages; by default 5, 2 for images of less than 32 pixels and 1 for
        images of less than 16 pixels.
      time_limit_seconds: longest training; 0 for no limit.
      metric: score that the search maximises: accuracy, balanced_accuracy, f1 (mean over classes) or auc (one class
        against the rest, mean over classes).
      class_weights: weights of classes in the loss: none, or balanced for weights that are inversely proportional to
        the number of training images of the class.
    """

    data: str
    image_size: int | None = None
    train_epochs: int = 12
    channels: int | None = None
    cells_per_stage: int | None = None
    time_limit_seconds: float = 0.0
    metric: str = "accuracy"
    class_weights: str = "none"

    def __post_init__(self) -> None:
        check_least(self, image_size=1, train_epochs=1, channels=1, cells_per_stage=1, time_limit_seconds=0)
        check_scoring(self)

    def sizes(self, image_shape: Sequence[int]) -> tuple[int, int]:
        """Channels and cells per stage of the networks for images `[height, width, channels]`."""
        side = min(image_shape[:2])
        channels, cells = (16, 5) if side >= SMALL else (8, 2) if side >= TINY else (8, 1)
        return self.channels or channels, self.cells_per_stage or cells


@dataclasses.dataclass(frozen=True)
class DartsSettings:
    """Trainings of DARTS cells on a user's images, by default as arch2vec searches where images are not small.

    Attributes:
      data: images, as an .npz file of the arrays images and labels (or x and y) or x_train, y_train, x_test and y_test,
        or as a folder of image files per class.
      image_size: pixels that images of a folder are resized to; by default all images must be of one size.
      train_epochs: epochs of every training; the mean of the last tenth is the validation accuracy.
      channels: width of the first cells' operations; by default 36, 16 for images of less than 32 pixels and 8 for
        images of less than 16 pixels.
      layers: cells of a network; by default 20, 8 for images of less than 32 pixels and 5 for images of less than 16
        pixels.
      auxiliary: whether a second classifier at two thirds of the depth takes part in trainings; by default for images
        of at least 32 pixels.
      metric: score that the search maximises: accuracy, balanced_accuracy, f1 (mean over classes) or auc (one class
        against the rest, mean over classes).
      class_weights: weights of classes in the loss: none, or balanced for weights that are inversely proportional to
        the number of training images of the class.
    """

    data: str
    image_size: int | None = None
    train_epochs: int = 50
    channels: int | None = None
    layers: int | None = None
    auxiliary: bool | None = None
    metric: str = "accuracy"
    class_weights: str = "none"

    def __post_init__(self) -> None:
        check_least(self, image_size=1, train_epochs=1, channels=2, layers=3)
        check_scoring(self)

    def sizes(self, image_shape: Sequence[int]) -> tuple[int, int, bool]:
        """Channels, layers and auxiliary classifier of the networks for images `[height, width, channels]`."""
        side = min(image_shape[:2])
        channels, layers = (36, 20) if side >= SMALL else (16, 8) if side >= TINY else (8, 5)
        auxiliary = side >= SMALL if self.auxiliary is None else self.auxiliary
        return self.channels or channels, self.layers or layers, auxiliary


@dataclasses.dataclass(frozen=True)
class FunctionSettings:
    """A user's function as a benchmark.

    Attributes:
      space: name of the search space, of `spaces.SPACES`.
      accuracy: module:function from an architecture to an accuracy in [0, 1].
    """

    space: str
    accuracy: str


@dataclasses.dataclass(frozen=True)
class SurrogateSettings:
    """The official surrogates of NAS-Bench-301.

    Attributes:
      performance_model: folder of the downloaded ensemble that predicts the accuracy.
      runtime_model: folder of the downloaded ensemble that predicts the training time; by default queries cost nothing.
    """

    performance_model: str
    runtime_model: str | None = None


@dataclasses.dataclass(frozen=True)
class OfficialFileSettings:
    """The official TFRecord file of NAS-Bench-101.

    Attributes:
      records: number of records that the file must hold; by default known for the official files.
    """

    records: int | None = None


@dataclasses.dataclass(frozen=True)
class ArchiveSettings:
    """An unpacked archive of NATS-Bench, which is made of pickles.

    Attributes:
      allow_pickle: whether pickles may be read.
    """

    allow_pickle: bool = False

"""Settings of benchmarks; no TensorFlow, so that flags can be made from the classes before TensorFlow starts."""

import dataclasses

from tfnas.errors import ConfigurationError
from tfnas.settings import check_least

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
      channels: width of the networks' first stage.
      cells_per_stage: cells in each of the three stages.
      time_limit_seconds: longest training; 0 for no limit.
    """

    data: str
    image_size: int | None = None
    train_epochs: int = 12
    channels: int = 16
    cells_per_stage: int = 5
    time_limit_seconds: float = 0.0

    def __post_init__(self) -> None:
        check_least(self, image_size=1, train_epochs=1, channels=1, cells_per_stage=1, time_limit_seconds=0)


@dataclasses.dataclass(frozen=True)
class DartsSettings:
    """Trainings of DARTS cells on a user's images, by default as arch2vec searches.

    Attributes:
      data: images, as an .npz file of the arrays images and labels (or x and y) or x_train, y_train, x_test and y_test,
        or as a folder of image files per class.
      image_size: pixels that images of a folder are resized to; by default all images must be of one size.
      train_epochs: epochs of every training; the mean of the last tenth is the validation accuracy.
      channels: width of the first cells' operations.
      layers: cells of a network.
      auxiliary: whether a second classifier at two thirds of the depth takes part in trainings.
    """

    data: str
    image_size: int | None = None
    train_epochs: int = 50
    channels: int = 36
    layers: int = 20
    auxiliary: bool = True

    def __post_init__(self) -> None:
        check_least(self, image_size=1, train_epochs=1, channels=2, layers=3)


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

"""Every benchmark by name: its settings, and how its evaluator is made. TensorFlow starts when a training needs it."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

from absl import logging

from tfnas.benchmarks.base import Evaluator
from tfnas.benchmarks.function import FunctionEvaluator, load_function
from tfnas.benchmarks.settings import (
    CellSettings,
    ColumnSettings,
    DartsSettings,
    FunctionSettings,
    NoSettings,
    SurrogateSettings,
    TableSettings,
)
from tfnas.benchmarks.table import CompactTable, read_table
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.errors import ConfigurationError
from tfnas.settings import configured
from tfnas.spaces import Architecture, NASBench101, NASBench201, NASBench301, NATSSize, get_space

SHIPPED = pathlib.Path(__file__).parent / "data"


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A row of `BENCHMARKS`.

    Attributes:
      name: name in flags and manifests.
      summary: source of the answers, in a few words.
      config: frozen dataclass of the benchmark's settings.
      make: function from settings of that class to the evaluator.

    Example:
      >>> BENCHMARKS["digits201"].evaluator().space.name
      'nasbench201'
    """

    name: str
    summary: str
    config: type
    make: Callable[[Any], Evaluator]

    def evaluator(self, **settings: Any) -> Evaluator:
        """The benchmark's evaluator.

        Args:
          **settings: values of fields of `config`; fields without default are required.

        Raises:
          ConfigurationError: a setting is missing, has a value out of range, or belongs to another benchmark.
          CorruptArtefactError: a file is damaged.
        """
        evaluator = self.make(configured(self.name, {row.name: row.config for row in BENCHMARKS.values()}, settings))
        evaluator.name, evaluator.settings = self.name, settings
        return evaluator


@dataclasses.dataclass(frozen=True)
class Table:
    """A table and the columns that make it a benchmark.

    Attributes:
      name: name of the benchmark.
      file: name of the table, without suffix.
      validation: column that a search looks at.
      test: column that only the report looks at.
      seconds: column of training times; None if queries cost nothing.
    """

    name: str
    file: str
    validation: str
    test: str
    seconds: str | None = None

    def load(self) -> CompactTable:
        """The table; see `find_table`."""
        return load_table(self.file)

    def evaluator(self, settings: ColumnSettings) -> TableEvaluator:
        """The evaluator of the table, or of another table and other columns where the settings name them."""
        table = self.load() if settings.table is None else read_table(settings.table)
        validation, test = settings.validation_column or self.validation, settings.test_column or self.test
        if validation != self.validation:
            _warn_of_test(validation)
        seconds, share = self._time_of(validation, table)
        return TableEvaluator(table, validation, test, seconds, share, settings.repeat)

    def _time_of(self, validation: str, table: CompactTable) -> tuple[str | None, float]:
        """The column with the times of the trainings behind a column of accuracies, and the share that counts.

        Trainings whose time no column holds take their share, by epochs, of the training that is next in length.
        """
        names = re.fullmatch(r"(.*)(validation|test)_accuracy(_curve)?_(\d+)", validation)
        if self.seconds is None or names is None:
            return self.seconds, 1.0
        stem, epochs = f"{names[1]}training_seconds_", int(names[4])
        lengths = [int(name.removeprefix(stem)) for name in table.columns if re.fullmatch(stem + r"\d+", name)]
        if not lengths:
            return self.seconds, 1.0
        length = min(lengths, key=lambda length: abs(length - epochs))
        return f"{stem}{length}", epochs / length


def _nasbench201(data_set: str) -> Table:
    columns = (f"{data_set}_{name}_200" for name in ("validation_accuracy", "test_accuracy", "training_seconds"))
    return Table(f"{NASBench201.name}_{data_set}", NASBench201.name, *columns)


def _one_column(name: str, column: str) -> Table:
    """A benchmark of one accuracy, which search and report share, and without times."""
    return Table(name, name, column, column)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("digits201", "digits201", "validation_accuracy_12", "test_accuracy_12", "training_seconds_12"),
        # The file that holds every cell has one test accuracy, and hardly any validation accuracy or training time.
        _one_column(NASBench101.name, "test_accuracy_108"),
        *map(_nasbench201, ("cifar10", "cifar100", "imagenet16_120")),
        _one_column(NATSSize.name, "cifar10_test_accuracy"),
        _one_column(NASBench301.name, "surrogate_validation_accuracy"),
    )
}
"""The benchmarks that a table answers."""


def find_table(file: str) -> pathlib.Path:
    """The path of a table: in tfnas, or in the folder that `TFNAS_DATA_DIR` names.

    Args:
      file: name of the table, without suffix.

    Raises:
      ConfigurationError: the table is in neither folder.
    """
    shipped = SHIPPED / f"{file}.npz"
    if shipped.is_file():
        return shipped
    folder = os.environ.get("TFNAS_DATA_DIR")
    if not folder:
        raise ConfigurationError(f"{file}.npz does not ship with tfnas; set TFNAS_DATA_DIR to its folder")
    path = pathlib.Path(folder) / f"{file}.npz"
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file (TFNAS_DATA_DIR={folder})")
    return path


def load_table(file: str) -> CompactTable:
    """The table of a name without suffix; see `find_table`."""
    return read_table(find_table(file))


def _table(settings: TableSettings) -> Evaluator:
    columns = settings.validation_column, settings.test_column
    _warn_of_test(settings.validation_column)
    return TableEvaluator(read_table(settings.table), *columns, repeat=settings.repeat)


def _warn_of_test(column: str) -> None:
    """Warns of a search by test accuracies."""
    if "test" in column.split("_"):
        logging.warning(
            "--validation_column=%s holds test accuracies: the search chooses by them, so that its test accuracy is "
            "none of unseen images",
            column,
        )


def _function(settings: FunctionSettings) -> Evaluator:
    return FunctionEvaluator(get_space(settings.space), load_function(settings.accuracy))


def _digits(settings: NoSettings) -> Evaluator:
    from tfnas.benchmarks.trained.digits import DigitsEvaluator

    return DigitsEvaluator()


def _trained(settings: CellSettings) -> Evaluator:
    from tfnas.benchmarks.trained.images import load_images

    images = load_images(settings.data, image_size=settings.image_size)  # a mistake shows before TensorFlow starts

    from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
    from tfnas.networks.nasbench201 import NASBench201Network, Skeleton

    skeleton = Skeleton(images.num_classes, *settings.sizes(images.train[0].shape[1:]))

    def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> NASBench201Network:
        return NASBench201Network(skeleton, architecture)

    config = TrainedConfig(
        epochs=settings.train_epochs,
        time_limit_seconds=settings.time_limit_seconds,
        metric=settings.metric,
        class_weights=settings.class_weights,
    )
    return TrainedEvaluator(NASBench201(), build, images, config, network=dataclasses.asdict(skeleton))


def _darts(settings: DartsSettings) -> Evaluator:
    from tfnas.benchmarks.trained.images import load_images

    images = load_images(settings.data, image_size=settings.image_size)  # a mistake shows before TensorFlow starts

    from tfnas.benchmarks.trained.darts import DartsEvaluator
    from tfnas.benchmarks.trained.darts_config import query
    from tfnas.networks.darts import DartsSkeleton

    shape = images.train[0].shape[1:]
    channels, layers, auxiliary = settings.sizes(shape)
    training = dataclasses.replace(
        query(settings.train_epochs, min(shape[:2])), metric=settings.metric, class_weights=settings.class_weights
    )
    return DartsEvaluator(images, DartsSkeleton(channels=channels, layers=layers, auxiliary=auxiliary), training)


def _surrogates(settings: SurrogateSettings) -> Evaluator:
    from tfnas.benchmarks.readers.nasbench301 import SurrogateEvaluator

    return SurrogateEvaluator(settings.performance_model, settings.runtime_model)


BENCHMARKS: dict[str, Benchmark] = {
    row.name: row
    for row in (
        Benchmark("digits", "trainings of small networks of NAS-Bench-201 cells on digits", NoSettings, _digits),
        Benchmark("trained", "trainings of networks of NAS-Bench-201 cells on your images", CellSettings, _trained),
        Benchmark("darts", "trainings of networks of DARTS cells on your images", DartsSettings, _darts),
        Benchmark("table", "any compact table", TableSettings, _table),
        Benchmark("function", "a function of yours, in any space", FunctionSettings, _function),
        Benchmark("surrogates", "the official surrogates of NAS-Bench-301", SurrogateSettings, _surrogates),
        *(
            Benchmark(table.name, f"columns of {table.file}.npz", ColumnSettings, table.evaluator)
            for table in TABLES.values()
        ),
    )
}
"""All benchmarks by name."""

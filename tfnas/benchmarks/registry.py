"""Benchmarks by name: which table, which of its columns, where the file is looked for; and those that train."""

import dataclasses
import os
import pathlib

from tfnas import artefacts
from tfnas.benchmarks.base import Evaluator
from tfnas.benchmarks.function import FunctionEvaluator, load_function
from tfnas.benchmarks.table import CompactTable, read_table
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.benchmarks.trained.darts import DartsEvaluator
from tfnas.benchmarks.trained.darts_config import TRAININGS, DartsTraining
from tfnas.benchmarks.trained.digits import DigitsEvaluator
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import load_images
from tfnas.errors import ConfigurationError
from tfnas.networks.darts import CIFAR10, DartsSkeleton
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.spaces import NASBench201, Space, get_space

SHIPPED = pathlib.Path(__file__).parent / "data"
_TRAINS_ON_IMAGES = ("trained", "darts")


@dataclasses.dataclass(frozen=True)
class TableBenchmark:
    """A table and the columns that make it a benchmark.

    Attributes:
      file: name of the table, without suffix.
      validation: column that a search looks at.
      test: column that only the report looks at.
      seconds: column of training times, or None.
    """

    file: str
    validation: str
    test: str
    seconds: str | None = None


def _nasbench201(data_set: str) -> TableBenchmark:
    columns = (f"{data_set}_{name}_200" for name in ("validation_accuracy", "test_accuracy", "training_seconds"))
    return TableBenchmark("nasbench201", *columns)


TABLE_BENCHMARKS = {
    "digits201": TableBenchmark(
        "digits201", "validation_accuracy_curve_12", "test_accuracy_curve_12", "training_seconds_12"
    ),
    # The file that holds every cell has one test accuracy, and hardly any validation accuracy or training time.
    "nasbench101": TableBenchmark("nasbench101", "test_accuracy_108", "test_accuracy_108"),
    "nasbench201_cifar10": _nasbench201("cifar10"),
    "nasbench201_cifar100": _nasbench201("cifar100"),
    "nasbench201_imagenet16_120": _nasbench201("imagenet16_120"),
    "nats_size": TableBenchmark("nats_size", "cifar10_test_accuracy", "cifar10_test_accuracy"),
    "nasbench301": TableBenchmark("nasbench301", "surrogate_validation_accuracy", "surrogate_validation_accuracy"),
}


def find_table(file: str) -> pathlib.Path:
    """Where the table of that name lies: in tfnas, or in the folder that `TFNAS_DATA_DIR` names.

    Raises:
      ConfigurationError: in neither.
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
    """The table of that name; see `find_table`."""
    return read_table(find_table(file))


def table_benchmark(
    name: str,
    *,
    table: artefacts.PathLike | None = None,
    validation: str | None = None,
    test: str | None = None,
    space: Space | None = None,
) -> TableEvaluator:
    """The evaluator of a named benchmark, or of any table.

    Args:
      name: one of `TABLE_BENCHMARKS`, or "table".
      table: the file; by default where `find_table` finds it. Required for "table".
      validation: column that a search looks at, instead of the benchmark's. Required for "table".
      test: column that only the report looks at; likewise.
      space: for tables of a space that tfnas does not know by name.

    Raises:
      ConfigurationError: no such benchmark, file or column.
      CorruptArtefactError: the table is damaged.
    """
    if name == "table":
        if table is None or validation is None or test is None:
            raise ConfigurationError("the benchmark 'table' needs a file, a validation column and a test column")
        return TableEvaluator(read_table(table, space), validation, test)
    if name not in TABLE_BENCHMARKS:
        raise ConfigurationError(f"unknown benchmark {name!r}, expected one of {', '.join(TABLE_BENCHMARKS)}")
    known = TABLE_BENCHMARKS[name]
    read = load_table(known.file) if table is None else read_table(table)
    return TableEvaluator(read, validation or known.validation, test or known.test, known.seconds)


def evaluator(
    name: str,
    *,
    table: artefacts.PathLike | None = None,
    validation: str | None = None,
    test: str | None = None,
    data: artefacts.PathLike | None = None,
    image_size: int | None = None,
    training: TrainedConfig | None = None,
    skeleton: Skeleton | None = None,
    darts_training: DartsTraining | None = None,
    darts_skeleton: DartsSkeleton | None = None,
    space: str | None = None,
    accuracy: str | None = None,
) -> Evaluator:
    """The evaluator that `trainers.search` means by a name.

    Args:
      name: "digits", "trained" (NAS-Bench-201 cells on images), "darts" (DARTS cells on images), "table", "function"
        (an accuracy of the user's own), or one of `TABLE_BENCHMARKS`.
      table: see `table_benchmark`.
      validation: see `table_benchmark`.
      test: see `table_benchmark`.
      data: see `load_images`; for "trained" and "darts".
      image_size: see `load_images`.
      training: for "trained".
      skeleton: the network around the cell, for "trained"; its number of classes is taken from the data.
      darts_training: for "darts"; by default the paper's query.
      darts_skeleton: likewise.
      space: for "function": name of the space.
      accuracy: for "function": see `benchmarks.function.load_function`.

    Raises:
      ConfigurationError: an argument is missing, or belongs to another benchmark.
      CorruptArtefactError: a file is damaged.
    """
    if (data is not None) != (name in _TRAINS_ON_IMAGES):
        raise ConfigurationError(
            f"--data={data} with --benchmark={name}; the benchmarks {' and '.join(_TRAINS_ON_IMAGES)} need it, no other"
        )
    if (name == "function") != (space is not None and accuracy is not None):
        raise ConfigurationError(
            f"--space={space}, --accuracy={accuracy} with --benchmark={name}; function needs both, no other one does"
        )
    if name in ("digits", "function", *_TRAINS_ON_IMAGES) and (table or validation or test):
        raise ConfigurationError(f"a table or its columns were given, but --benchmark={name} has none")
    if name == "function":
        return FunctionEvaluator(get_space(space), load_function(accuracy))
    if name == "digits":
        return DigitsEvaluator()
    if name == "darts":
        images = load_images(data, image_size=image_size)
        return DartsEvaluator(images, darts_skeleton or CIFAR10, darts_training or TRAININGS["query"])
    if name == "trained":
        around = skeleton or Skeleton()

        def build(architecture, image_shape, num_classes):
            return NASBench201Network(dataclasses.replace(around, num_classes=num_classes), architecture)

        return TrainedEvaluator(NASBench201(), build, load_images(data, image_size=image_size), training)
    return table_benchmark(name, table=table, validation=validation, test=test)

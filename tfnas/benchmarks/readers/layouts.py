"""Published arrays that are not compact tables yet: recognised by their names, brought into the same form.

The converted columns are fractions and seconds with the names of `table.py`, costs in the units of their publisher;
nothing is computed or left out. A cost that could not be measured is NaN.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfnas.errors import CorruptArtefactError
from tfnas.spaces import ABSENT, CellTable, NASBench101, NASBench201, NASBench301, NATSSize, Space
from tfnas.spaces.nasbench101 import unpack_edges

Arrays = dict[str, np.ndarray]
Parts = tuple[Space, CellTable, Arrays, np.ndarray, dict[str, Any]]


def convert(arrays: Arrays) -> Parts:
    """The fields of a `CompactTable` from the arrays of a file without a header.

    Raises:
      CorruptArtefactError: the arrays are of no known layout, or damaged.
    """
    for layout, (required, build) in _LAYOUTS.items():
        if required <= arrays.keys():
            try:
                space, cells, columns = build(dict(arrays))
            except (IndexError, ValueError, TypeError) as error:
                raise CorruptArtefactError(f"arrays of {layout} that don't fit together ({error})") from error
            return space, cells, columns, space.canonical_hashes(cells), {"source": f"published layout {layout}"}
    raise CorruptArtefactError(f"no header, and arrays ({', '.join(sorted(arrays))}) of no known layout")


def _nasbench101(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space = NASBench101()
    labels, count = arrays.pop("op_labels"), arrays.pop("num_vertices")
    # conv3x3, conv1x1, maxpool in the file; 2, 1, 3 in the space.
    interior = np.full(256, ABSENT, np.uint8)
    interior[:3] = 2, 1, 3
    operations = np.full((len(labels), space.max_vertices), ABSENT, np.uint8)
    operations[:, 0], operations[:, 1:-1] = 0, interior[labels]
    operations[np.arange(len(labels)), count - 1] = len(space.operations) - 1
    cells = CellTable(operations, unpack_edges(arrays.pop("edge_bits"), space.max_vertices))
    accuracy = arrays.pop("validation_accuracy")
    for column, epochs in enumerate((4, 12, 36, 108)):
        arrays[f"validation_accuracy_{epochs}"] = accuracy[:, column]
    return space, cells, arrays


def _nasbench201(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space = NASBench201()
    return space, space.from_strings(arrays.pop("arch").tolist()), _fractions(arrays)


def _nats_size(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space = NATSSize()
    return space, space.from_strings(arrays.pop("arch").tolist()), _fractions(arrays)


def _nasbench301(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space = NASBench301()
    return space, space.from_pairs(arrays.pop("cells")), _fractions(arrays)


def _proxies(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space = NASBench201()
    return space, space.from_strings(arrays.pop("arch").tolist()), arrays


def _hardware(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space, cells, costs = _proxies(arrays)
    # -1 stands for a network that could not be compiled.
    return space, cells, {name: np.where(cost < 0, np.float32("nan"), cost) for name, cost in costs.items()}


def _robustness(arrays: Arrays) -> tuple[Space, CellTable, Arrays]:
    space, cells, accuracies = _proxies(arrays)
    return space, cells, {name: accuracy / np.float32(100) for name, accuracy in accuracies.items()}


def _fractions(arrays: Arrays) -> Arrays:
    return {name: values / np.float32(100) if "accuracy" in name else values for name, values in arrays.items()}


_LAYOUTS: dict[str, tuple[set[str], Callable[[Arrays], tuple[Space, CellTable, Arrays]]]] = {
    NASBench101.name: ({"num_vertices", "edge_bits", "op_labels", "validation_accuracy"}, _nasbench101),
    NASBench201.name: ({"arch", "cifar10_validation_accuracy_200"}, _nasbench201),
    f"{NASBench201.name}_hardware": ({"arch", "cifar10_edgegpu_latency"}, _hardware),
    f"{NASBench201.name}_robustness": ({"arch", "pgd_linf_1p0"}, _robustness),
    f"{NASBench201.name}_proxies": ({"arch", "synflow"}, _proxies),
    NATSSize.name: ({"arch", "cifar10_test_accuracy"}, _nats_size),
    NASBench301.name: ({"cells", "surrogate_validation_accuracy"}, _nasbench301),
}

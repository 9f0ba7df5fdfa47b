"""NATS-Bench archives (and with them NAS-Bench-201) into compact tables: the one place in tfnas that unpickles.

The official archives exist as pickles only. A pickle can run any code, so nothing here happens unless a user calls
`convert`, and the unpickler builds containers, numbers, strings and NumPy arrays, and refuses everything else.

References:
  Dong et al. 2021, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", section 3.
  https://github.com/D-X-Y/NATS-Bench, whose package `nats_bench` reads the results (extra `nats`).
"""

import bz2
import importlib
import pathlib
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks.table import CompactTable, read_table, write_table
from tfnas.errors import ConfigurationError, CorruptArtefactError, TfnasError
from tfnas.spaces import NASBench201, NATSSize

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("builtins", "set"),
    ("builtins", "list"),
    ("builtins", "dict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
}
_SPACES = {"tss": (NASBench201, ("12", "200")), "sss": (NATSSize, ("01", "12", "90"))}
# In the archive's words: data set -> name here, the sets that validate and test.
_DATA_SETS = {
    "cifar10-valid": ("cifar10", "x-valid", "ori-test"),
    "cifar10": ("cifar10_all", None, "ori-test"),
    "cifar100": ("cifar100", "x-valid", "x-test"),
    "ImageNet16-120": ("imagenet16_120", "x-valid", "x-test"),
}
_SUFFIX = ".pickle.pbz2"


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a plain value")
        return super().find_class(module, name)


def convert(
    folder: artefacts.PathLike, target: artefacts.PathLike, kind: str, *, allow_pickle: bool = False
) -> CompactTable:
    """Converts an unpacked archive (`NATS-tss-v1_0-3ffb9-simple` or `NATS-sss-v1_0-50262-simple`) to a compact table.

    Columns for each data set and training length E: `<data set>_validation_accuracy_E`, `_test_accuracy_E` and
    `_train_accuracy_E` (fractions, `[N, seeds]`, NaN where a seed is absent), `_training_seconds_E` `[N, seeds]`,
    `_parameters_millions`, `_flops_millions`. `cifar10` was trained on half of the training images, `cifar10_all` on
    all of them. Architectures whose file is absent are NaN.

    Args:
      folder: the unpacked archive.
      target: the table.
      kind: "tss" (topology, NAS-Bench-201) or "sss" (size).
      allow_pickle: must be True; says that the caller knows the files to be pickles.

    Raises:
      ConfigurationError: pickles were not allowed, the package is not installed, or no such kind.
      CorruptArtefactError: a file can't be read, or asks for anything but plain values.
    """
    if kind not in _SPACES:
        raise ConfigurationError(f"unknown archive {kind!r}, expected one of {', '.join(_SPACES)}")
    if not allow_pickle:
        raise ConfigurationError(f"{folder}: NATS-Bench archives are pickles; allow them explicitly (--allow_pickle)")
    try:
        results_class = importlib.import_module("nats_bench.api_utils").ArchResults
    except ImportError as error:
        raise ConfigurationError("package nats_bench is not installed; `pip install nats_bench`") from error
    folder = pathlib.Path(folder)
    space_class, lengths = _SPACES[kind]
    space = space_class()
    names = _load(folder / f"meta{_SUFFIX}")["meta_archs"]
    cells = space.from_strings([str(name) for name in names])
    columns: dict[str, np.ndarray] = {}
    seeds: dict[str, list[int]] = {}
    measured = 0
    for index in tqdm(range(len(names)), desc=f"Reading {folder.name}", unit="cell"):
        path = next((p for p in (folder / f"{index:06d}{_SUFFIX}", folder / f"{index}{_SUFFIX}") if p.is_file()), None)
        if path is None:
            continue
        measured += 1
        content = _load(path)
        for length in lengths:
            if length in content:
                try:
                    results = results_class.create_from_state_dict(content[length])
                    for column, repeat, value in _measurements(results, int(length), seeds):
                        shape = (len(names),) if repeat is None else (len(names), 3)
                        array = columns.setdefault(column, np.full(shape, np.nan, np.float32))
                        array[index if repeat is None else (index, repeat)] = value
                except (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
                    raise CorruptArtefactError(
                        f"{path}: not NATS-Bench results at {length} epochs ({error})"
                    ) from error
    if not measured:
        raise CorruptArtefactError(f"{folder}: none of the {len(names)} architectures has a file")
    write_table(target, space, cells, columns, source=folder.name, measured=measured, seeds=seeds)
    return read_table(target)


def _measurements(results: Any, epochs: int, seeds: dict[str, list[int]]) -> Iterator[tuple[str, int | None, float]]:
    """Column, repeat (None where there is one value) and value."""
    if not results.dataset_seed:
        raise KeyError("no data set")
    for data_set, (name, validation, test) in _DATA_SETS.items():
        for seed in results.dataset_seed.get(data_set, []):
            known = seeds.setdefault(name, [])
            if seed not in known:
                if len(known) == 3:
                    raise TfnasError(f"a fourth seed, {seed}, for {data_set}")
                known.append(seed)
            repeat = known.index(seed)
            trial = results.all_results[data_set, seed]
            train = trial.get_train()
            yield f"{name}_train_accuracy_{epochs}", repeat, train["accuracy"] / 100
            if train["all_time"] is not None:
                yield f"{name}_training_seconds_{epochs}", repeat, train["all_time"]
            for split, quantity in ((validation, "validation"), (test, "test")):
                if split is not None and f"{split}@{epochs - 1}" in trial.eval_acc1es:
                    yield f"{name}_{quantity}_accuracy_{epochs}", repeat, trial.get_eval(split)["accuracy"] / 100
            yield f"{name}_parameters_millions", None, trial.params
            yield f"{name}_flops_millions", None, trial.flop


def _load(path: pathlib.Path) -> Any:
    try:
        with bz2.BZ2File(path) as file:
            return _Unpickler(file).load()
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise CorruptArtefactError(f"{path}: not a readable archive of plain values ({error})") from error

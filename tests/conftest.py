"""Shared fixtures."""

import gc
import os
import pathlib
from typing import TYPE_CHECKING

# Small products gain nothing from the threads of BLAS and OpenMP, which wait for each other in busy loops.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
# Small programs run a few times: all of XLA's optimisation takes more time than it saves, none of it loses time too.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

import numpy as np
import pytest

from tfnas import runtime
from tfnas.spaces import SPACES, FiniteSpace, NASBench101, get_space

if TYPE_CHECKING:
    import tensorflow as tf


def pytest_configure(config: pytest.Config) -> None:
    """Two logical CPUs, so that MirroredStrategy has replicas to talk to; threads as the binaries have them."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return  # this process only hands out the tests
    runtime.collect_seldom()
    with runtime.without_collections():
        import tensorflow as tf

    runtime.one_thread_per_operation()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def pytest_collection_finish() -> None:
    """The collector of garbage passes over the modules that the tests have imported."""
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """The folder of measured benchmark files."""
    folder = os.environ.get("TFNAS_DATA_DIR")
    if folder is None:
        pytest.skip("TFNAS_DATA_DIR is not set")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def small_nasbench101(tmp_path_factory: pytest.TempPathFactory) -> "SmallNASBench101":
    """NAS-Bench-101 cut down to its cells of at most 5 vertices, so that enumerating it takes no time."""
    return SmallNASBench101(tmp_path_factory.mktemp("cache"))


class SmallNASBench101(NASBench101):
    """2,532 cells of at most 5 vertices in the encoding of the whole space."""

    def enumerate(self):
        from tfnas.spaces import nasbench101

        return nasbench101.unique_cells(largest=5)

    def sample(self, count, seed):
        rng = np.random.default_rng(seed)
        cells = self.enumerate()
        return cells[rng.choice(len(cells), count, replace=False)]


@pytest.fixture(scope="session", params=[*SPACES, "finite"])
def space(request: pytest.FixtureRequest, small_nasbench101: SmallNASBench101):
    """Every space in turn."""
    if request.param == "finite":
        cells = small_nasbench101.enumerate()[:1200]
        return FiniteSpace("finite", [small_nasbench101.architecture(cells, row) for row in range(1200)])
    return small_nasbench101 if request.param == "nasbench101" else get_space(request.param)


@pytest.fixture(scope="session")
def two_replicas() -> "tf.distribute.MirroredStrategy":
    """Two logical CPUs. One strategy serves all tests: two in one process would share the keys of their collectives."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)

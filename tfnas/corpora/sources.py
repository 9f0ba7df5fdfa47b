"""Sources of a corpus of real models: lists of models that need no download, and their conversion to graphs.

A model is a `Job`, plain data that can travel to another machine; `Converter` turns jobs into graphs.
"""

import dataclasses
import importlib
import importlib.metadata
import os
import pathlib
import re
from collections.abc import Callable, Sequence

from tfnas import artefacts
from tfnas.errors import ConfigurationError, InvalidArchitectureError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.keras_graphs import KERAS_LIBRARIES

DEFAULT_IMAGE = (1, 224, 224, 3)
HUB_TEXT_LENGTH = 64
PARAMETER_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Job:
    """A model to convert.

    Attributes:
      source: entry of `SOURCES`, or `file`.
      model: name of the constructor or the model, or path of the file.
      family: name that related models share.
      version: version of the package that defines the model; empty for a file.

    Example:
      >>> Job("keras", "ResNet50V2", "resnet_v2").key
      'keras-ResNet50V2'
    """

    source: str
    model: str
    family: str
    version: str = ""

    @property
    def key(self) -> str:
        """The job's name in names of files."""
        return re.sub(r"[^\w.-]+", "_", f"{self.source}-{self.model}")


def list_jobs(sources: Sequence[str], folder: artefacts.PathLike | None = None, torch_python: str = "") -> list[Job]:
    """The models of some sources.

    Args:
      sources: entries of `SOURCES`.
      folder: folder whose `.keras` and `.onnx` files and SavedModels are added; the family of a file is the name of the
        folder that holds it. None adds no files.
      torch_python: interpreter of the environment with torch, for the libraries of PyTorch models.

    Raises:
      ConfigurationError: an unknown source, or one whose package is missing.
    """
    jobs: list[Job] = []
    for source in sources:
        if source not in SOURCES:
            raise ConfigurationError(f"source {source!r}, expected one of {', '.join(SOURCES)}")
        jobs += SOURCES[source].jobs(source, torch_python)
    if folder is not None:
        jobs += _files(pathlib.Path(folder))
    return jobs


def _keras_jobs(source: str, _: str) -> list[Job]:
    applications = importlib.import_module(source).applications
    constructors = {name: value for name, value in vars(applications).items() if name[0].isupper() and callable(value)}
    version = importlib.metadata.version(source)
    families = {name: constructor.__module__.rpartition(".")[2] for name, constructor in sorted(constructors.items())}
    return [Job(source, name, family, version) for name, family in families.items()]


def _hub_jobs(source: str, _: str) -> list[Job]:
    if importlib.util.find_spec("keras_hub") is None:
        raise ConfigurationError("the source keras_hub needs the package keras-hub: pip install keras-hub")
    from tfnas.corpora.keras_hub_configurations import CONFIGURATIONS

    version = importlib.metadata.version(source)
    return [Job(source, name, name.removesuffix("Backbone").lower(), version) for name in CONFIGURATIONS]


def _torch_jobs(source: str, torch_python: str) -> list[Job]:
    from tfnas.graphs.importers.torch_graphs import TorchWorker

    if not torch_python:
        raise ConfigurationError(f"the source {source} needs an environment with torch; see `make corpus-venv`")
    worker = TorchWorker(torch_python)
    try:
        version, families = worker.list_models(source)
        return [Job(source, name, family, version) for name, family in families.items()]
    finally:
        worker.close()


def _files(folder: pathlib.Path) -> list[Job]:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder")
    from tfnas.graphs.importers import model_paths

    return [Job("file", os.fspath(path), path.parent.name) for path in model_paths(folder)]


class Converter:
    """Turns jobs into computation graphs; starts the process that exports PyTorch models with the first such job.

    Args:
      torch_python: interpreter of the environment with torch.
      timeout_seconds: longest time of an export from PyTorch, in seconds.
    """

    def __init__(self, torch_python: str = "", timeout_seconds: float = 120.0):
        self._torch_python, self._timeout = torch_python, timeout_seconds
        self._worker = None

    def convert(self, job: Job) -> ComputationGraph:
        """The graph of a model.

        Raises:
          InvalidArchitectureError: the model can't be built or imported, or the graph holds over 1 % more or fewer
            parameters than the model.
        """
        facts = {"family": job.family, "source": job.source, "name": job.model}
        parameters = None
        try:
            if job.source in SOURCES:
                graph, parameters = SOURCES[job.source].convert(self, job, facts)
            else:
                from tfnas.graphs.importers import from_file

                graph = from_file(job.model, **{**facts, "name": pathlib.Path(job.model).stem}, strict=True)
        except TfnasError:
            raise
        except Exception as error:  # a stranger's constructor may raise anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise InvalidArchitectureError(f"{type(error).__name__}: {reason}") from error
        if parameters and abs(graph.total_parameters / parameters - 1) > PARAMETER_TOLERANCE:
            raise InvalidArchitectureError(
                f"the graph holds {graph.total_parameters:,} parameters, the model {parameters:,}"
            )
        return graph

    def close(self) -> None:
        """Ends the process that exports PyTorch models."""
        if self._worker is not None:
            self._worker.close()

    def keras(self, job: Job, facts: dict[str, str]) -> tuple[ComputationGraph, int]:
        """Graph and number of parameters of a model of `keras.applications`."""
        from tfnas.graphs.importers import keras_graphs

        constructor = getattr(importlib.import_module(job.source).applications, job.model)
        second = job.source == "tf_keras"
        read = keras_graphs.from_tf_keras_constructor if second else keras_graphs.from_constructor
        return read(lambda: constructor(weights=None), default_input_shape=DEFAULT_IMAGE, **facts)

    def hub(self, job: Job, facts: dict[str, str]) -> tuple[ComputationGraph, int]:
        """Graph and number of parameters of a backbone of Keras Hub."""
        import keras_hub

        from tfnas.corpora.keras_hub_configurations import CONFIGURATIONS
        from tfnas.graphs.importers import keras_graphs

        backbone = getattr(keras_hub.models, job.model)
        return keras_graphs.from_constructor(
            lambda: backbone(**CONFIGURATIONS[job.model]), default_input_shape=(1, HUB_TEXT_LENGTH), **facts
        )

    def torch(self, job: Job, facts: dict[str, str]) -> tuple[ComputationGraph, int]:
        """Graph and number of parameters of a PyTorch model, exported by another process."""
        from tfnas.graphs.importers.torch_graphs import TorchWorker

        if self._worker is None:
            self._worker = TorchWorker(self._torch_python, self._timeout)
        return self._worker.graph(job.source, job.model, family=job.family)


@dataclasses.dataclass(frozen=True)
class Source:
    """A row of `SOURCES`.

    Attributes:
      jobs: function from the row's name and an interpreter with torch to the source's models.
      convert: method of `Converter` that gives a model's graph and its number of parameters.
      licence: SPDX identifier of the licence under which the package defines its models.
    """

    jobs: Callable[[str, str], list[Job]]
    convert: Callable[[Converter, Job, dict[str, str]], tuple[ComputationGraph, int]]
    licence: str


def _torch(licence: str) -> Source:
    return Source(_torch_jobs, Converter.torch, licence)


SOURCES: dict[str, Source] = {
    **dict.fromkeys(KERAS_LIBRARIES, Source(_keras_jobs, Converter.keras, "Apache-2.0")),
    "keras_hub": Source(_hub_jobs, Converter.hub, "Apache-2.0"),
    "timm": _torch("Apache-2.0"),
    "transformers": _torch("Apache-2.0"),
    "torchvision": _torch("BSD-3-Clause"),
    "pytorchcv": _torch("MIT"),
    "segmentation_models_pytorch": _torch("MIT"),
    "diffusers": _torch("Apache-2.0"),
    "torchaudio": _torch("BSD-2-Clause"),
    "monai": _torch("Apache-2.0"),
    "spandrel": _torch("MIT"),
}
"""The packages that models are taken from, by name."""


def packages(jobs: Sequence[Job]) -> dict[str, dict[str, str]]:
    """Version and licence of the packages of some models, by source; files have neither."""
    versions = {job.source: job.version for job in jobs if job.source in SOURCES}
    return {
        source: {"version": version, "licence": SOURCES[source].licence} for source, version in sorted(versions.items())
    }

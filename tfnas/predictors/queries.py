"""Models that a predictor is asked about, as computation graphs."""

from collections.abc import Iterable
from typing import Unpack

from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.networks.models import named_model


def graphs_of(models: Iterable[Model], **options: Unpack[Options]) -> list[ComputationGraph]:
    """The graphs of models, in their order.

    Args:
      models: models as `importers.import_model` takes them; a text may also name a model as `named_model` reads it,
        such as `nasbench201:13714`.
      **options: options of `importers.import_model` for every model.

    Raises:
      ConfigurationError: no such file, no model, or an empty graph.
      CorruptArtefactError, InvalidArchitectureError: a model can't be read.
    """
    named = [named_model(model) if isinstance(model, str) else model for model in models]
    graphs = [import_model(model, **options) for model in named]
    for graph in graphs:
        if not graph.num_nodes:
            raise ConfigurationError(f"{graph.name or 'a graph'} has no operators to predict from")
    return graphs

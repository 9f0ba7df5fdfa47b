"""Models that a predictor is asked about, as computation graphs."""

from collections.abc import Iterable

from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers import Model, import_model


def graphs_of(models: Iterable[Model]) -> list[ComputationGraph]:
    """The graphs of models, in their order.

    Raises:
      ConfigurationError: no such file, no model, or an empty graph.
      CorruptArtefactError, InvalidArchitectureError: a model can't be read.
    """
    graphs = [import_model(model) for model in models]
    for graph in graphs:
        if not graph.num_nodes:
            raise ConfigurationError(f"{graph.name or 'a graph'} has no operators to predict from")
    return graphs

"""How the encoder of computation graphs is exported."""

from typing import Any

from tfnas import artefacts
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.saved import KIND
from tfnas.encoders.graph_module import export_graph_model


def export(model: GraphEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest, which is returned; see `graph_module.export_graph_model`."""
    size = model.config.embedding_dim
    return export_graph_model(model, folder, name="computation_graph_encoder", kind=KIND, embedding_dim=size, **facts)

"""The texts by which a command line names a model: a path, a shipped name, or an architecture of a space."""

from tfnas import saved_models
from tfnas.graphs.importers import Model
from tfnas.networks.registry import NETWORKS
from tfnas.spaces import get_space


def named_model(text: str) -> Model:
    """The model of a text: the computation graph of an architecture, or the path of a model.

    Args:
      text: `SPACE:ARCHITECTURE`, a space of `NETWORKS` and an architecture in any notation that `Space.read` reads; the
        name of a shipped model; or a path. `./SPACE:ARCHITECTURE` is a path.

    Raises:
      InvalidArchitectureError: the text names a space, and no architecture of the space.

    Example:
      >>> named_model("nasbench201:13714").num_nodes
      296
      >>> named_model("my_model.keras").name
      'my_model.keras'
    """
    name, _, architecture = text.partition(":")
    if not architecture or name not in NETWORKS:
        return saved_models.model_path(text)
    from tfnas.networks import symbolic

    space = get_space(name)
    return symbolic.build(space, space.read(architecture), name=name)

"""The texts by which a command line names a model: a path, a shipped name, or an architecture of a space."""

import pathlib
from collections.abc import Iterable

from tfnas import saved_models
from tfnas.errors import ConfigurationError
from tfnas.graphs.importers import Model, format_words, model_paths
from tfnas.networks.registry import NETWORKS
from tfnas.spaces import Architecture, Space, get_space


def named_model(text: str) -> Model:
    """The model of a text: the computation graph of an architecture, named as the text, or the path of a model.

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
    named = named_architecture(text)
    if named is None:
        return saved_models.model_path(text)
    from tfnas.networks import symbolic

    return symbolic.build(*named, name=text)


def named_architecture(text: str) -> tuple[Space, Architecture] | None:
    """The space and the architecture of a text `SPACE:ARCHITECTURE`; None for any other text.

    Raises:
      InvalidArchitectureError: the text names a space, and no architecture of the space.
    """
    name, _, architecture = text.partition(":")
    if not architecture or name not in NETWORKS:
        return None
    space = get_space(name)
    return space, space.read(architecture)


def named_models(texts: Iterable[str]) -> list[Model]:
    """The models of several texts, as `named_model` reads them; a folder of models stands for all models below it.

    Raises:
      ConfigurationError: a folder that is no model and holds none.
      InvalidArchitectureError: a text names a space, and no architecture of the space.
    """
    models: list[Model] = []
    for model in map(named_model, texts):
        if not isinstance(model, pathlib.Path) or not model.is_dir():
            models.append(model)
            continue
        below = model_paths(model)
        if not below:
            raise ConfigurationError(f"{model}: no model in this folder, expected {format_words()}")
        models += [model] if model in below else below
    return models

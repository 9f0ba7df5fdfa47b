"""Quantised models of Keras 3, as they were before their quantisation: the policies of their layers name it."""

import importlib
from typing import Any

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.keras_errors import reason


def is_quantised(model: Any) -> bool:
    """Whether a model of Keras has a quantised layer."""
    return any(getattr(layer, "quantization_mode", None) for layer in model._flatten_layers())


def before_quantisation(model: Any) -> Any:
    """A model of the same layers with fresh weights that are not quantised.

    Raises:
      InvalidArchitectureError: a layer that Keras can't build from its configuration.
    """
    saving = importlib.import_module("keras").saving
    try:
        config = saving.serialize_keras_object(model)
        remove_quantisation(config)
        return saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:  # Keras raises many classes
        raise InvalidArchitectureError(f"model {model.name!r} before quantisation: {reason(error)}") from error


def remove_quantisation(config: Any) -> None:
    """Gives all layers of a configuration, in place, the policy that they had before quantisation.

    Example:
      >>> policy = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}
      >>> remove_quantisation({"units": 3, "dtype": policy})
      >>> policy["class_name"], policy["config"]
      ('DTypePolicy', {'name': 'float32'})
    """
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            settings = value.get("config")
            if str(value.get("class_name")).endswith("DTypePolicy") and isinstance(settings, dict):
                source = settings.get("source_name")
                if source is not None:
                    value.update(module="keras", class_name="DTypePolicy", config={"name": source})
            value.pop("quantization_config", None)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)

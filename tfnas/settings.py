"""What the settings of every kind share: their fields, bounds, and a row's settings from values by name."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas.errors import ConfigurationError


def fields(config: type) -> dict[str, dataclasses.Field]:
    """The fields of a dataclass by name."""
    return {field.name: field for field in dataclasses.fields(config)}


def configured(name: str, configs: Mapping[str, type], values: Mapping[str, Any]) -> Any:
    """The configuration of a row of a registry.

    Args:
      name: name of the row.
      configs: configuration class of every row of the registry, by name.
      values: values of fields of the row's class; fields without default are required.

    Raises:
      ConfigurationError: a value is missing, is out of range, or belongs to another row.
    """
    known = fields(configs[name])
    for field, value in values.items():
        if field not in known:
            owners = [row for row, config in configs.items() if field in fields(config)]
            hint = f"; it belongs to {', '.join(owners)}" if owners else ""
            raise ConfigurationError(f"{field}={value} is no setting of {name}{hint}")
    missing = [field for field in known if known[field].default is dataclasses.MISSING and values.get(field) is None]
    if missing:
        raise ConfigurationError(f"{name} needs a value of {', '.join(missing)}")
    return configs[name](**values)


def check_choices(settings: object, **choices: Sequence[str]) -> None:
    """Raises ConfigurationError if a field of settings is not among its choices."""
    for name, known in choices.items():
        value = getattr(settings, name)
        if value not in known:
            raise ConfigurationError(f"{name}={value!r}, expected one of {', '.join(known)}")


def check_least(settings: object, **bounds: float) -> None:
    """Raises ConfigurationError if a field of settings is NaN or below its bound; None passes."""
    for name, bound in bounds.items():
        value = getattr(settings, name)
        if value is not None and not value >= bound:
            raise ConfigurationError(f"{name}={value}, expected at least {bound}")

"""The rules by which kernels start; no TensorFlow, so that flags can be made from them before it starts."""

from tfnas.errors import ConfigurationError

RULES = ("pytorch", "keras")
"""PyTorch's rule (kernels and biases uniform within 1 / sqrt(fan-in)), and Keras's (kernels by Glorot's uniform
distribution, biases 0)."""


def check_rule(rule: str) -> None:
    """Raises ConfigurationError unless there is such a rule."""
    if rule not in RULES:
        raise ConfigurationError(f"initialization={rule!r}, expected one of {', '.join(RULES)}")

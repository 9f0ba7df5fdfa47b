"""A function of the user's as a benchmark: any space, any way to find out an accuracy."""

import importlib
import math
import sys
import time
from collections.abc import Callable, Sequence

from tfnas.benchmarks.base import Evaluator, Score
from tfnas.errors import ConfigurationError
from tfnas.spaces import Architecture, Space


class FunctionEvaluator(Evaluator):
    """Asks a function for every architecture. Validation and test accuracy are what it answers.

    A function that raises an exception, or answers no number in [0, 1], scores 0, and `failure` is the reason.

    Args:
      space: search space of the architectures that the function takes.
      function: function from an architecture to an accuracy in [0, 1].

    Example:
      >>> from tfnas.spaces import NATSSize
      >>> space = NATSSize()
      >>> evaluator = FunctionEvaluator(space, lambda architecture: len(set(architecture.operations)) / 7)
      >>> evaluator.query([space.from_string("8:16:24:32:40")])[0].validation
      1.0
    """

    batch = 1
    lists = False

    def __init__(self, space: Space, function: Callable[[Architecture], float]):
        self.space, self._function = space, function

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        """One score per architecture.

        Raises:
          InvalidArchitectureError: an architecture is not in the space.
        """
        for architecture in architectures:
            self.space.require_valid(architecture)
        return [self._score(architecture) for architecture in architectures]

    def _score(self, architecture: Architecture) -> Score:
        started = time.perf_counter()
        try:
            accuracy = _accuracy(self._function(architecture))
        except Exception as error:  # whatever a user's function raises is the failure of one trial, not of the search
            return Score.of_error(error, time.perf_counter() - started)
        return Score(accuracy, accuracy, time.perf_counter() - started)


def _accuracy(answer: object) -> float:
    """The answer of a function as a number; raises ValueError unless it is one in [0, 1]."""
    try:
        accuracy = float(answer)
    except (TypeError, ValueError):
        accuracy = math.nan
    if not 0 <= accuracy <= 1:
        raise ValueError(f"the accuracy function returned {answer!r}, expected a number in [0, 1]")
    return accuracy


def load_function(name: str, flag: str = "accuracy") -> Callable[[Architecture], float]:
    """The function that "module:function" names; modules in the working folder are found too.

    Args:
      name: module and function.
      flag: name of the flag for errors.

    Raises:
      ConfigurationError: there is no such module or function.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigurationError(f"--{flag}={name}: expected module:function")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise ConfigurationError(f"--{flag}={name}: {error}") from error
    if not callable(function):
        raise ConfigurationError(f"--{flag}={name}: not a function")
    return function

"""What an architecture scores."""

from tfnas.benchmarks.base import Evaluator, Score

__all__ = ["Evaluator", "Score"]

"""What an architecture scores."""

from tfnas.benchmarks.base import Evaluator, Score, Scores

__all__ = ["Evaluator", "Score", "Scores"]

"""What an architecture scores."""

from tfnas.benchmarks.base import Evaluator, Score, Scores
from tfnas.benchmarks.registry import BENCHMARKS, Benchmark

__all__ = ["BENCHMARKS", "Benchmark", "Evaluator", "Score", "Scores"]

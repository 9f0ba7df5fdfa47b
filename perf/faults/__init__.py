"""Faults that are injected on purpose, and what tfnas makes of them."""

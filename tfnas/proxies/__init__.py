"""Scores of networks at initialisation, without training."""

PROXIES = ("synflow", "jacov", "fisher", "grad_norm", "grasp", "snip")
"""Names of the scores, in the order of the tables of Han et al. 2023; `proxies.scores` computes them."""

"""Scores of networks at initialisation, without training."""

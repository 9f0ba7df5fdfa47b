"""Retrieval of known architectures that are like a model: index, queries, ranking metrics, the page."""

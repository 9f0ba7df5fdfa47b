"""Benchmarks that train the network of an architecture."""

"""Experiments of the published papers, each writing its table, its figure and a comparison with the paper's numbers."""

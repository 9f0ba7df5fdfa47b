"""Architectures and models as TF-GNN GraphTensors."""

"""Embeddings in, mean and standard deviation of the score out."""

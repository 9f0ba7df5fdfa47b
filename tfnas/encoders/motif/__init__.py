"""Embeddings for retrieval: motifs, macro graphs and contrastive learning at both levels."""

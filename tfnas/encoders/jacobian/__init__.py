"""Contrastive embeddings of networks from their data Jacobians; see README.md."""

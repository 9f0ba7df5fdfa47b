"""The transferable predictor's encoder: contrastive embeddings of computation graphs."""

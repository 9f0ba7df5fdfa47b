"""Tables and figures of the contrastive Jacobian embeddings."""

"""Tables and figures of arch2vec (Yan et al. 2020)."""

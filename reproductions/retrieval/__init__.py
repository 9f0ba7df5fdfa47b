"""Tables of neural architecture retrieval (Pei et al. 2024)."""

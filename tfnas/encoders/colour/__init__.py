"""Embeddings by Weisfeiler-Lehman colours along and against the flow of data, and what families say about them."""

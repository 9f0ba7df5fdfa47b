"""Corpora of cells and graphs on the disk: their files, their sources, and pipelines over them."""

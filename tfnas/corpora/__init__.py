"""Corpora of cells and graphs on the disk: their files, their sources, and pipelines over them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

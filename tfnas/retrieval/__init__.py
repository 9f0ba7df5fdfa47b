"""Retrieval of known architectures that are like a model: index, queries, ranking metrics, the page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

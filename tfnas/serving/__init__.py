"""Exported models behind TensorFlow Serving, or behind a small HTTP server with its REST conventions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

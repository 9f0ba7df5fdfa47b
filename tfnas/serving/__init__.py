"""Exported models behind TensorFlow Serving, or behind a small HTTP server that speaks its language."""

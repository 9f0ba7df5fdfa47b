"""Exported models behind TensorFlow Serving, or behind a small HTTP server with its REST conventions."""

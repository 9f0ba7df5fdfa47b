"""Warm-up requests: what TensorFlow Serving sends to a SavedModel before it lets anybody else in."""

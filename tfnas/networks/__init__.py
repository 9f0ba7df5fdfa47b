"""Trainable Keras networks of architectures."""

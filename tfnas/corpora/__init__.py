"""Many cells or graphs on disk: written, read, built and mapped over."""

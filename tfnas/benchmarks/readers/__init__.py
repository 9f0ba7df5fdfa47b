"""Official files of benchmarks, read into compact tables."""

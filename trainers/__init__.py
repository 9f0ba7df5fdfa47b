"""Command-line programs: `tfnas NAME --help`."""

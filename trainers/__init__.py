"""Command-line programs: `python -m trainers.NAME --help`."""

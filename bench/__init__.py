"""Measures a whole daemon on this machine: `make bench`, or `python -m bench --help`."""

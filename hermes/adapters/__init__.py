"""Adapters: one technology behind one port a file; the only importers of driver libraries."""

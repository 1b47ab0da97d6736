"""Routing: which carrier takes a message."""

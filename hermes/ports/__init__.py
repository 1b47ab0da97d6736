"""Ports: what the shells need from the outside, as small protocols."""

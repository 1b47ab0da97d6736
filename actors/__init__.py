"""Thespian shells of Hermes: binds, carrier stages, service stages and ports."""

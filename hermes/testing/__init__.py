"""Shipped test doubles and real services for tests."""

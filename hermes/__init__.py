"""Hermes: a carrier mesh daemon that makes SMPP feel like a REST API."""

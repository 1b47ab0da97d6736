"""Durable fallback across channels (its policy and engines)."""

"""Vocabulary of Hermes: ids, messages, attempts, events, states, claims and carriers; pure."""

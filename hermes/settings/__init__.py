"""Settings of a host: one frozen tree, loaded from files and environment, all faults at once."""

from hermes.settings.load import load
from hermes.settings.tree import Settings

__all__ = ["Settings", "load"]

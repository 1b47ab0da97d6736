"""`python -m hermes.mailsink`."""

from __future__ import annotations

import sys

from hermes.mailsink.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

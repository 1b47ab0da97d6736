"""What every engine's process begins with: the steps it was told to open, one line per failure."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from cascade.steps import CascadeSteps
from hermes.core.errors import ConfigError

OpenSteps = Callable[[str], AbstractAsyncContextManager[CascadeSteps]]


def find_steps(name: str) -> OpenSteps:
    """Find what opens the steps, named `module:function`. Raises ConfigError."""
    module, _, function = name.partition(":")
    try:
        found: OpenSteps = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"--steps {name} names nothing: {error}") from error
    return found


def in_one_line(record: logging.LogRecord) -> bool:
    """Say a handler's failure in one line: a store that is down fails many cascades at once."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        why = str(error).partition("\n")[0]
        record.msg, record.args = f"handler failed: {type(error).__name__}: {why}", ()
        record.exc_info = None
    return True

"""Says what to install where Temporal's package is missing; imported before anything of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from hermes.core.errors import ConfigError

INSTALL: Final = "pip install temporalio==1.35.0"  # the extra `temporal` pins the same

if find_spec("temporalio") is None:
    raise ConfigError(f"the cascade engine `temporal` needs the package temporalio: `{INSTALL}`")

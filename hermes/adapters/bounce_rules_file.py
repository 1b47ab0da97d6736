"""The rules of bounces from their files: those that come with Hermes, then the operator's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib.resources import files
from operator import add
from pathlib import Path

from hermes.mail.bounce_rule import BadRules, Rules, parse_rules

OURS = "bounce.toml"


def load_rules(paths: Sequence[str | Path] = ()) -> Rules:
    """Read our own rules and then the files given, in KumoMTA's format. Raises BadRules."""
    ours = files("hermes.adapters").joinpath("rules", OURS).read_text(encoding="utf-8")
    return reduce(add, map(_load, paths), parse_rules(ours, OURS))


def _load(path: str | Path) -> Rules:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadRules(str(path), f"it cannot be read: {error}") from error
    return parse_rules(text, str(path))

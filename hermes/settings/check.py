"""Turn plain data into a settings struct and name every fault by its key, not only the first."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import Any

import msgspec

from hermes.settings import secret

T = typing.TypeVar("T", bound=msgspec.Struct)
SECRETS = frozenset({"password", "pepper", "token", "verp_secret"})
CAUSE = re.compile(r" - at `.*`$")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: the key as written in the file, and the rule it breaks."""

    key: str
    rule: str

    def __str__(self) -> str:
        return f"{self.key}: {self.rule}"


def check(kind: type[T], data: object, key: str, faults: list[Fault]) -> T | None:
    """Build `kind` from `data`, adding every fault found to `faults`; None when any was."""
    if not isinstance(data, dict):
        faults.append(Fault(key, f"expected a table, got {type(data).__name__}"))
        return None
    before = len(faults)
    fields = {f.encode_name: f for f in msgspec.structs.fields(kind)}
    hints = typing.get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in fields:
            faults.append(Fault(dotted(key, name), f"unknown key; known: {', '.join(fields)}"))
        else:
            field_name = fields[name].name
            values[field_name] = value_of(hints[field_name], value, dotted(key, name), faults)
    for name, field in fields.items():
        if field.required and name not in data:
            faults.append(Fault(dotted(key, name), "required, and missing"))
    return kind(**values) if len(faults) == before else None


def value_of(kind: Any, value: object, key: str, faults: list[Fault]) -> object:
    """Check one value: a nested table, a list of tables, a secret, or a plain value."""
    struct = struct_in(kind)
    if struct is not None and isinstance(value, list):
        return tuple(check(struct, item, f"{key}[{i}]", faults) for i, item in enumerate(value))
    if struct is not None and isinstance(value, dict):
        return check(struct, value, key, faults)
    if key.rpartition(".")[2] in SECRETS and not secret.is_reference(value):
        faults.append(Fault(key, 'secrets are references: { env = "…" } or { file = "…" }'))
        return None
    try:
        if secret.is_reference(value):
            value = secret.resolve(typing.cast("dict[str, str]", value))
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError) as error:
        faults.append(
            Fault(key, CAUSE.sub("", str(error))[:1].lower() + CAUSE.sub("", str(error))[1:])
        )
        return None


def struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """Find the struct inside a type such as `Tls`, `TonNpi | None` or `tuple[Bind, ...]`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    for part in typing.get_args(kind):
        found = struct_in(part)
        if found is not None:
            return found
    return None


def dotted(key: str, name: str) -> str:
    """Join a key and a name by a dot."""
    return f"{key}.{name}" if key else name

"""The command line of the simulator: one option per setting of the profile."""

from __future__ import annotations

import argparse
import sys
from enum import Enum
from typing import TYPE_CHECKING, Final, NoReturn, get_args, get_type_hints

import msgspec

from hermes.simulator.profile import Profile, new_profile
from hermes.simulator.refusal import Refusal
from hermes.simulator.server import EXIT_USAGE, run

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG: Final = """\
The last digit of a destination decides what becomes of the message: 1 EXPIRED, 2 DELETED,
3 UNDELIV, 4 ACCEPTD (never final), 5 REJECTD, any other DELIVRD. --mix replaces the digits.
exit codes: 0 ended by a signal, 64 wrong options, 73 no log file, 74 a port is in use.
"""


class _Parser(argparse.ArgumentParser):
    """Ends with EX_USAGE, as the rest of the commands."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"simulator: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator with these options; returns the exit code."""
    try:
        return run(parse(argv))
    except Refusal as error:
        sys.stderr.write(f"simulator: --{error.field.replace('_', '-')}: {error.rule}\n")
        return EXIT_USAGE


def parse(argv: Sequence[str] | None) -> Profile:
    """The profile the options describe. Raises Refusal; SystemExit for options unknown."""
    values = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value}
    if "account" in values:
        values["accounts"] = [_account(text) for text in values.pop("account")]
    return new_profile(values)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hermes simulate",
        description="An SMSC for tests and for trying things out (SMPP 3.4).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--account", action="append", metavar="ID:PASSWORD", help="who may bind; none: anybody"
    )
    hints = get_type_hints(Profile, include_extras=True)
    for field in msgspec.structs.fields(Profile):
        if field.name == "accounts":
            continue
        kind, *metas = get_args(hints[field.name])
        default = field.default.value if isinstance(field.default, Enum) else field.default
        about = " ".join(meta.description for meta in metas if meta.description)
        words = f"{about} ({_written(default)})" if default != "" else about
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            metavar=_choices(kind) or field.name.rsplit("_", 1)[-1].upper(),
            help=words.replace("%", "%%"),
        )
    return parser


def _choices(kind: object) -> str:
    if kind is bool:
        return "true|false"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return ""


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _account(text: str) -> dict[str, object]:
    system_id, colon, password = text.partition(":")
    if not colon:
        raise Refusal("account", f"{text!r} is not ID:PASSWORD")
    return {"system_id": system_id, "password": password}

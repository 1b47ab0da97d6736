"""The command line of the sink."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final, NoReturn

from hermes.mailsink.behaviour import BEHAVIOURS
from hermes.mailsink.server import EXIT_USAGE, run
from hermes.mailsink.sink import SinkSettings

_DEFAULTS: Final = SinkSettings()


class _Parser(argparse.ArgumentParser):
    """Ends with EX_USAGE, as the rest of the commands."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"mailsink: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sink with these options; returns the exit code."""
    found = _parser().parse_args(argv)
    settings = SinkSettings(
        host=found.host,
        port=found.port,
        name=found.name,
        reports=found.reports,
        confirm_after=found.confirm_after,
        keep=found.keep,
    )
    return run(settings, found.control_port)


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, BEHAVIOURS))
    rows = "\n".join(f"  {name:<{width}}  {each.does}" for name, each in BEHAVIOURS.items())
    parser = _Parser(
        prog="python -m hermes.mailsink",
        description="A mail relay for trying things out: it delivers to nobody.",
        epilog=f"by the name before the @ (name+SECONDS@... sets its time):\n{rows}\n\n"
        "exit codes: 0 ended by a signal, 64 wrong options, 74 a port is in use.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default=_DEFAULTS.host, help="the address to listen on")
    parser.add_argument("--port", type=_port, default=2525, help="SMTP; 0 picks a free one (2525)")
    parser.add_argument("--control-port", type=_control, default=2526, help="HTTP; -1: none (2526)")
    parser.add_argument("--name", default=_DEFAULTS.name, help="the name it greets with")
    parser.add_argument("--reports", type=_place, metavar="HOST:PORT", help="where reports go")
    parser.add_argument("--confirm-after", type=_seconds, default=1.0, help="seconds (1)")
    parser.add_argument("--keep", type=_count, default=_DEFAULTS.keep, help="mails kept (1000)")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port of 0 to 65535")
    return number


def _control(text: str) -> int:
    return -1 if text == "-1" else _port(text)


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, _port(port)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return number


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"{number} is not between 1 and 100000")
    return number

"""Logs: structlog JSON lines on stderr, text and addresses masked in one processor."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict

MSISDN = re.compile(r"(?<!\w)\+?\d{8,15}(?!\w)")
EMAIL = re.compile(r"([\w.+-])[\w.+-]*@([\w-]+\.[\w.-]+)")
SECRET = frozenset(
    {"password", "authorization", "token", "auth_token", "secret", "api_key", "cookie", "text"}
)
KEEP = frozenset({"message_id", "attempt", "trace_id", "span_id", "tenant", "timestamp", "level"})
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def mask(value: Any) -> Any:
    """Mask phone numbers and mail addresses in any value a log line may carry."""
    if isinstance(value, str):
        plain = EMAIL.sub(r"\1***@\2", value)
        return MSISDN.sub(lambda m: m[0][:4] + "*" * (len(m[0]) - 6) + m[0][-2:], plain)
    if isinstance(value, dict):
        return {k: "[redacted]" if str(k).lower() in SECRET else mask(x) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return [mask(x) for x in value]
    return value


def redact(_: object, __: str, event: EventDict) -> EventDict:
    """Redact one log line; the last processor before the renderer."""
    return {
        k: v if k in KEEP else "[redacted]" if k.lower() in SECRET else mask(v)
        for k, v in event.items()
    }


class Lossy:
    """A stream for log lines: one that finds no room is lost, because none is worth a process."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a line."""
        with contextlib.suppress(OSError):  # a full disk, a terminal that has gone
            return self.stream.write(text)
        return 0

    def flush(self) -> None:
        """Hand over what was written."""
        with contextlib.suppress(OSError):
            self.stream.flush()


def configure(process: str, level: str = "info") -> None:
    """Configure structlog and the standard loggers of this process; call once after each fork."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    lossy = cast("TextIO", Lossy(sys.stderr))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(lossy),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(actor=process)
    handler = logging.StreamHandler(lossy)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.root.handlers[:] = [handler]
    # it repeats each second what every failed call says already
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.root.setLevel(max(LEVELS[level], logging.WARNING))

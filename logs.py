"""How Billhook logs: one JSON line an event on standard output, and nothing secret in it.

`app.py`, `worker.py` and `clock.py` call `set_up` once, first of all. Everything else does
`log = structlog.get_logger()` and `log.info("pushed", invoice="acme-2026-10")`. Libraries that
log by the standard library come out the same way, from WARNING upwards.
"""

from __future__ import annotations

import logging
import sys
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

CONTEXT: Final = frozenset(
    {"process", "stage", "endpoint", "delivery", "invoice", "connector", "request"}
)
"""What `structlog.contextvars.bind_contextvars` may add to each line; anything else is left out."""
SECRET_WORDS: Final = (
    *("secret", "token", "authorization", "password", "api_key", "cookie", "signature"),
    *("body", "payload", "headers", "url"),
)
"""A field with one of these in its name is logged without its value."""
LONGEST_TEXT: Final = 500
"""Characters of a text; the rest is cut off. A traceback is kept whole."""


def set_up(level: str) -> None:
    """Send all logs of this process to standard output, ours from `level` upwards.

    A terminal gets lines for people, anything else one JSON object a line.
    """
    to_each_line: list[Processor] = [
        _chosen_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        without_secrets,
    ]
    rendered: list[Processor]
    if sys.stdout.isatty():
        # The renderer's own choice prints local variables with a traceback, payloads among them.
        plain = structlog.dev.plain_traceback
        rendered = [structlog.dev.ConsoleRenderer(exception_formatter=plain, timestamp_key="at")]
    else:
        json_lines = structlog.processors.JSONRenderer(ensure_ascii=False)
        rendered = [structlog.processors.format_exc_info, json_lines]
    structlog.configure(
        processors=[*to_each_line, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _set_up_libraries(to_each_line, rendered)


def without_secrets(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Return the line with secrets and payloads taken out, by name and by type.

    Only plain values are logged: texts, numbers, dates and lists of them. Bytes and
    dictionaries are refused, because that is what payloads are.
    """
    for key, value in line.items():
        if key in _KEPT_AS_THEY_ARE or key.startswith("_"):
            continue
        if any(word in key.lower() for word in SECRET_WORDS):
            line[key] = "[redacted]"
        else:
            line[key] = _plain(value)
    return line


_KEPT_AS_THEY_ARE: Final = frozenset({"at", "level", "exc_info", "exception", "stack_info"})


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        # A line break or a terminal's control code is shown, never obeyed.
        text = value if value.isprintable() else repr(value)[1:-1]
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
    if isinstance(value, float | Decimal | date | UUID):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return f"[refused: {type(value).__name__}]"


def _chosen_context(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    for key, value in structlog.contextvars.get_contextvars().items():
        if key in CONTEXT:
            line.setdefault(key, value)
    return line


class _LibraryLines(logging.Handler):
    """Takes what libraries log to where our own lines go, under the same lock."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.PrintLogger().msg(self.format(record))


def _set_up_libraries(to_each_line: list[Processor], rendered: list[Processor]) -> None:
    handler = _LibraryLines()
    without_marks = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library_name, *to_each_line],
            processors=[without_marks, *rendered],
        )
    )
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _LibraryLines)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def _library_name(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    line["library"] = line["_record"].name
    return line

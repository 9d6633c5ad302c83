"""A lock's key as a part of an address."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter


class KeyConverter(StringConverter):
    """Any text, slashes too; but not U+0000, which no key has and PostgreSQL refuses."""

    regex = r"[^\x00]+"


register_converter(KeyConverter, "lock_key")
LOCK_KEY = "<lock_key:key>"

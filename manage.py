#!/usr/bin/env python
"""Django's command line for Evenkeel, and `up`, which runs before there is an environment for Django."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from portal.stack.running import adopt_running_stack
from portal.stack.up import up
from workflows.errors import DefinitionError

if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        sys.exit(up(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    adopt_running_stack()
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, DefinitionError) as exc:
        sys.exit(str(exc))

"""Work that recurs, done by one of the dispatchers: the kernel's, and that of workflows."""

from __future__ import annotations

from datetime import timedelta

from portal.core.chores import CHORES as CORE_CHORES
from portal.core.chores import Chore
from workflows.deadletters.services import remove_old_letters

CHORES = (*CORE_CHORES, Chore("remove-old-dead-letters", timedelta(hours=6), remove_old_letters))

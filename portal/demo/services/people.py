"""The demo's people. Their passwords are public, so this refuses to run where the demo is off."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from portal.core.errors import Forbidden
from portal.core.models import Team, User
from portal.demo.people import DEMO_PASSWORD, PEOPLE

TEAMS = {"finance-operations": "Finance operations", "partner-relations": "Partner relations"}


def make_people() -> int:
    """Make whoever of the demo's people and teams is missing; return how many people that were.

    Somebody who is there already keeps their password. The roles must have been synced.

    :raises Forbidden: where DEMO is not true.
    """
    if not settings.DEMO:
        raise Forbidden("Demo people have known passwords; they are only made where DEMO is true.")
    for slug, name in TEAMS.items():
        Team.objects.get_or_create(slug=slug, defaults={"name": name})
    known = set(User.objects.filter(username__in=[p.username for p in PEOPLE]).values_list("username", flat=True))
    missing = [person for person in PEOPLE if person.username not in known]
    password = make_password(DEMO_PASSWORD) if missing else ""
    for person in missing:
        user = User.objects.create(
            username=person.username,
            first_name=person.first_name,
            last_name=person.last_name,
            email=f"{person.username}@evenkeel.example",
            password=password,
        )
        user.groups.set([Group.objects.get(name=person.role.value)])
    return len(missing)

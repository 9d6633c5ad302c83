"""Who may sign in to the demo. Plain values: read by ``manage.py up`` before Django is set up."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.permissions import Role

DEMO_PASSWORD = "evenkeel-demo"  # noqa: S105 - printed at start-up, and only ever set where DEMO is true


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody of the demo firm. The user name is the role, so that nobody has to look it up."""

    role: Role
    first_name: str
    last_name: str

    @property
    def username(self) -> str:
        """The name to sign in with."""
        return self.role.value

    @property
    def label(self) -> str:
        """The name as history and audit trail show it."""
        return f"{self.first_name} {self.last_name}"


VERA = DemoPerson(Role.VIEWER, "Vera", "Lindqvist")
SAM = DemoPerson(Role.SUPPORT, "Sam", "Okafor")
OLGA = DemoPerson(Role.OPERATOR, "Olga", "Petrenko")
MONA = DemoPerson(Role.MANAGER, "Mona", "Castell")
ADA = DemoPerson(Role.ADMIN, "Ada", "Byrne")
PEOPLE = (VERA, SAM, OLGA, MONA, ADA)


def logins() -> list[tuple[str, str]]:
    """Return (user name, password) of everybody who can sign in to the demo."""
    return [(person.username, DEMO_PASSWORD) for person in PEOPLE]

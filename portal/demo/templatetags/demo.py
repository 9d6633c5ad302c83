"""What the shared templates show of the demo, where there is one."""

from __future__ import annotations

from django import template

from portal.demo.people import DEMO_PASSWORD, PEOPLE, DemoPerson

register = template.Library()


@register.inclusion_tag("demo/_people.html", takes_context=True)
def demo_people(context: dict[str, object]) -> dict[str, object]:
    """Offer to sign in as one of the demo's people, whose password is no secret."""
    people: tuple[DemoPerson, ...] = PEOPLE
    return {
        "people": people,
        "password": DEMO_PASSWORD,
        "next": context.get("next", ""),
        "csrf_token": context.get("csrf_token"),
    }

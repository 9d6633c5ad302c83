"""The forms of the pages about access, tokens and preferences: shape only, the services decide."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib.auth.models import Group
from django.db.models import Model

from portal.core import clock
from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import InvalidInput
from portal.core.filters import LocalDateTimeInput
from portal.core.models import User
from portal.core.permissions import OBJECT_PERMISSIONS, Permission, Role
from portal.core.queries.access import object_rights, object_words, right_words
from portal.core.services.grants import Holder
from portal.core.services.reasons import MINIMUM_LENGTH

Choices = list[tuple[str, Any]]
CHOOSE = ("", "Choose…")


def offer(form: forms.Form, name: str, choices: Choices) -> None:
    """Set what a field of the form lets people choose from."""
    cast(forms.ChoiceField, form.fields[name]).choices = choices


def add_problems(form: forms.Form, problem: InvalidInput) -> None:
    """Show in the form what a service refused."""
    for name, found in (problem.fields or {"": [problem.message]}).items():
        form.add_error(name if name in form.fields else None, found)


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(
        label="Reason",
        min_length=MINIMUM_LENGTH,
        help_text="At least 10 characters. Goes into the audit trail.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class GrantForm(ReasonForm):
    """Rights on one team or workflow, for a person or for everybody with a role."""

    holder = forms.ChoiceField(label="To")
    on = forms.ChoiceField(label="On")
    rights = forms.ChoiceField(label="What")
    expires_at = forms.DateTimeField(
        label="Until",
        required=False,
        widget=LocalDateTimeInput(),
        help_text="Counts for nothing after that. Empty: until somebody takes it away.",
    )
    field_order = ("holder", "on", "rights", "expires_at", "reason")

    def __init__(self, *args: Any, objects: Iterable[Model], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._objects = {f"{obj._meta.model_name}:{obj.pk}": obj for obj in objects}
        self._people = {f"person:{user.get_username()}": user for user in User.objects.filter(is_active=True)}
        offer(self, "holder", [CHOOSE, *_holder_choices(self._people)])
        offer(self, "on", [CHOOSE, *_object_choices(self._objects)])
        offer(self, "rights", [CHOOSE, *_right_choices()])

    @property
    def holder_chosen(self) -> Holder:
        """The person, or the role's group."""
        key = self.cleaned_data["holder"]
        return self._people[key] if key in self._people else Group.objects.get(name=key.removeprefix("role:"))

    @property
    def object_chosen(self) -> Model:
        """The team or workflow."""
        return self._objects[self.cleaned_data["on"]]

    @property
    def rights_chosen(self) -> frozenset[Permission]:
        """The rights: one, or all of a role that make sense on one team or workflow."""
        kind, _, name = self.cleaned_data["rights"].partition(":")
        return object_rights(Role(name)) if kind == "role" else frozenset({Permission(name)})


class PersonForm(ReasonForm):
    """Somebody new."""

    username = forms.CharField(label="User name", max_length=150, help_text="Letters, digits and @ . + - _")
    full_name = forms.CharField(label="Full name", max_length=150, required=False)
    email = forms.EmailField(label="E-mail", required=False)
    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=[(role.value, role.capitalize()) for role in Role],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None: they see nothing until you give them rights on a team or a workflow.",
    )
    field_order = ("username", "full_name", "email", "roles", "reason")

    @property
    def values(self) -> dict[str, Any]:
        """What the service takes."""
        return {**self.cleaned_data, "roles": [Role(name) for name in self.cleaned_data["roles"]]}


class PasswordForm(forms.Form):
    """Another password for one's own account."""

    old = forms.CharField(
        label="Present password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 8 characters, not a common one, not only digits.",
    )


class TokenForm(forms.Form):
    """A new API token."""

    LIVES = [("7", "A week"), ("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "No end")]

    name = forms.CharField(label="Name", max_length=80, help_text="Where it is used, for example “nightly import”.")
    lives = forms.ChoiceField(label="Ends after", choices=LIVES, initial="90", required=False)
    scopes = forms.MultipleChoiceField(
        label="May do",
        widget=forms.CheckboxSelectMultiple,
        help_text="Only what you may do yourself. Less is safer.",
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = [p for p in Permission if p != Permission.MANAGE_OWN_TOKENS and may(actor, p)]
        offer(self, "scopes", [(p.value, right_words(p)) for p in own])

    @property
    def values(self) -> dict[str, Any]:
        """What the service takes."""
        days = self.cleaned_data["lives"]
        return {
            "name": self.cleaned_data["name"],
            "scopes": {Permission(scope) for scope in self.cleaned_data["scopes"]},
            "expires_at": clock.now() + timedelta(days=int(days)) if days else None,
        }


class PreferencesForm(forms.Form):
    """What a person sets for themselves."""

    theme = forms.ChoiceField(label="Theme", choices=User.Theme.choices)
    density = forms.ChoiceField(label="Density of tables", choices=User.Density.choices)
    time_zone = forms.CharField(
        label="Time zone",
        help_text="Type a city. Times are shown in this zone; the tooltip always has UTC as well.",
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
    )
    single_key_shortcuts = forms.BooleanField(label="Single-key shortcuts", required=False)


class ExplainForm(forms.Form):
    """A question: may this person do that there?"""

    person = forms.ChoiceField(label="May")
    right = forms.ChoiceField(label="do this", choices=[(p.value, right_words(p)) for p in Permission])
    on = forms.ChoiceField(label="on")

    def __init__(self, *args: Any, people: Iterable[User], objects: Iterable[Model], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {user.get_username(): user for user in people}
        self.objects = {f"{obj._meta.model_name}:{obj.pk}": obj for obj in objects}
        offer(self, "person", [(name, user.get_full_name() or name) for name, user in self.people.items()])
        offer(self, "on", _object_choices(self.objects))


def _holder_choices(people: dict[str, User]) -> Choices:
    names = [(key, user.get_full_name() or user.get_username()) for key, user in people.items()]
    roles = [(f"role:{role}", f"Everybody with the role {role}") for role in Role]
    return [("People", sorted(names, key=lambda choice: choice[1])), ("Roles", roles)]


def _object_choices(objects: dict[str, Model]) -> Choices:
    groups: dict[str, list[tuple[str, str]]] = {"All workflows of a team": [], "One workflow": []}
    for key, obj in objects.items():
        groups["All workflows of a team" if key.startswith("team:") else "One workflow"].append(
            (key, object_words(obj))
        )
    return [(title, choices) for title, choices in groups.items() if choices]


def _right_choices() -> Choices:
    bundles = [(f"role:{role}", f"All that {role} may") for role in Role if role not in {Role.MANAGER, Role.ADMIN}]
    single = [(f"right:{right}", right_words(right)) for right in Permission if right in OBJECT_PERMISSIONS]
    return [("As with a role", bundles), ("One right", single)]

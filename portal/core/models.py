"""People, teams, the audit trail and API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from guardian.models import GroupObjectPermissionAbstract, UserObjectPermissionAbstract

from portal.core.ids import uuid7
from portal.core.permissions import permission_choices


class User(AbstractUser):
    """A person who signs in, with the preferences that follow them from machine to machine."""

    class Theme(models.TextChoices):
        SYSTEM = "system", "Like the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    class Density(models.TextChoices):
        COMFORTABLE = "comfortable", "Comfortable"
        REGULAR = "regular", "Regular"
        COMPACT = "compact", "Compact"

    theme = models.CharField(max_length=10, choices=Theme.choices, default=Theme.SYSTEM)
    density = models.CharField(max_length=12, choices=Density.choices, default=Density.REGULAR)
    time_zone = models.CharField(max_length=64, default="UTC")
    single_key_shortcuts = models.BooleanField(default=True)

    class Meta(AbstractUser.Meta):
        default_permissions = ()


class Team(models.Model):
    """People who own workflows together. An object grant on a team reaches all its workflows."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        default_permissions = ()
        permissions = permission_choices()

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """What an object grant tells beside the right itself. Past ``expires_at`` it counts for nothing."""

    granted_at = models.DateTimeField()
    granted_by = models.CharField(max_length=200, help_text="label of the actor")
    reason = models.TextField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class UserGrant(Grant, UserObjectPermissionAbstract):
    """A right on one team or workflow, held by a person (guardian's table for users)."""

    class Meta(UserObjectPermissionAbstract.Meta):
        abstract = False
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}: {self.permission_id} on {self.content_type_id}:{self.object_pk}"


class GroupGrant(Grant, GroupObjectPermissionAbstract):
    """A right on one team or workflow, held by everybody with a role (guardian's table for groups)."""

    class Meta(GroupObjectPermissionAbstract.Meta):
        abstract = False
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.group_id}: {self.permission_id} on {self.content_type_id}:{self.object_pk}"


class AuditHead(models.Model):
    """The last link of a chain of audit entries; its locked row puts writers in order."""

    chain = models.CharField(max_length=40, primary_key=True)
    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32, default=bytes(32))
    verified_sequence = models.BigIntegerField(default=0, help_text="the last entry that the last full check reached")
    verified_at = models.DateTimeField(null=True)
    broken_at = models.BigIntegerField(null=True, help_text="the first entry that does not fit, if one was found")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain} at {self.sequence}"


class AuditEntry(models.Model):
    """One act of a person or an automation, chained to the one before by its hash. Never changed."""

    class Result(models.TextChoices):
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chain = models.CharField(max_length=40, default="main")
    sequence = models.BigIntegerField()
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    action = models.CharField(max_length=80)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=80)
    object_label = models.CharField(max_length=200, blank=True)
    result = models.CharField(max_length=8, choices=Result.choices, default=Result.DONE)
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    correlation_id = models.CharField(max_length=128, blank=True)
    origin = models.CharField(max_length=60, blank=True, help_text="page, api, command or engine, and the address")
    previous_digest = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32)

    class Meta:
        default_permissions = ()
        ordering = ["-sequence"]
        constraints = [models.UniqueConstraint(fields=["chain", "sequence"], name="audit_sequence_once")]
        indexes = [
            models.Index(fields=["object_type", "object_id", "-sequence"], name="audit_by_object"),
            models.Index(fields=["actor_id", "-sequence"], name="audit_by_actor"),
            models.Index(fields=["-at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.object_label}"


class ApiToken(models.Model):
    """A bearer token for the API. Only its SHA-256 is kept; the token itself is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotentRequest(models.Model):
    """The answer that a POST with an Idempotency-Key got, kept for a day in case the caller asks again."""

    actor_id = models.CharField(max_length=80, help_text="kind:id; keys of different callers never meet")
    key = models.CharField(max_length=200)
    fingerprint = models.BinaryField(max_length=32, help_text="SHA-256 of method, address and body")
    status_code = models.PositiveSmallIntegerField(default=0, help_text="0 only while the act goes on")
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["actor_id", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return f"{self.actor_id} {self.key}"

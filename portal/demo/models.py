"""The firm's ledger: small, double-entry, append-only."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from portal.core.ids import uuid7


class Account(models.TextChoices):
    """The chart of accounts."""

    CARD_CLEARING = "card-clearing", "Card payments in clearing"
    RECEIVABLES = "receivables", "Client receivables"
    PARTNER_SHARES = "partner-shares", "Partner shares (cost)"
    PAYOUTS_RESERVED = "payouts-reserved", "Payouts reserved"
    BANK = "bank", "Bank"
    TRUST_BANK = "trust-bank", "Trust account at the bank"
    TRUST_CLIENTS = "trust-clients", "Held for clients"
    TRUST_SUSPENSE = "trust-suspense", "Held, client not known"


class LedgerEntry(models.Model):
    """An amount that moves from one account to another, so debits and credits are equal in every single row.

    Never changed: a mistake is taken back by an entry that reverses it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    operation_key = models.CharField(max_length=200, unique=True)
    debit = models.CharField(max_length=20, choices=Account.choices)
    credit = models.CharField(max_length=20, choices=Account.choices)
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    party = models.CharField(max_length=120, help_text="the client or partner that it is about")
    text = models.CharField(max_length=200)
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="+")
    booked_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="ledger_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="ledger_two_accounts", condition=~Q(debit=F("credit"))),
        ]
        triggers = [
            pgtrigger.Protect(name="ledger_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.debit} {self.amount} {self.currency} {self.credit}"


class PastRecord(models.Model):
    """Something that the generated history says the outside world did, kept until the sandbox has been told."""

    id = models.CharField(max_length=40, primary_key=True)
    collection = models.CharField(max_length=20)
    operation_key = models.CharField(max_length=200)
    once_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - NULL: may be repeated
    body = models.JSONField()
    made_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.collection} {self.id}"

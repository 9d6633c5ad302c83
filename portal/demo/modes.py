"""The sandbox's services and how each can misbehave, in words: what happens, and what to watch."""

from __future__ import annotations

from dataclasses import dataclass

from portal.demo import flows
from portal.demo.retention import flows as retention
from portal.demo.sandbox.faults import Mode

_OF_WHAT_IS_CALLED = (Mode.OK, Mode.DOWN, Mode.SLOW, Mode.RATE_LIMITED, Mode.HALF_RESPONSE)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the sandbox and the dependency that flows know it as."""

    slug: str
    title: str
    about: str
    dependency: str
    timeout_seconds: float
    modes: tuple[Mode, ...] = _OF_WHAT_IS_CALLED


SERVICES = {
    service.slug: service
    for service in (
        Service(
            "payments",
            "Payments gateway",
            "Charges cards. Knows a repeated request by its idempotency key.",
            flows.payments.name,
            flows.payments.timeout,
        ),
        Service(
            "banking",
            "Partner bank",
            "Pays out. Does not know a repeated request: asked twice, it pays twice.",
            flows.banking.name,
            flows.banking.timeout,
        ),
        Service(
            "mail",
            "Mail",
            "Sends receipts and advices. Runs can do without it.",
            flows.mail.name,
            flows.mail.timeout,
        ),
        Service(
            "documents",
            "Document store",
            "Hands out the documents of closed matters.",
            retention.documents.name,
            retention.documents.timeout,
            (Mode.OK, Mode.DOWN, Mode.SLOW, Mode.RENAMED),
        ),
        Service(
            "archive",
            "Archive",
            "Keeps one copy of each document, under the document's own reference.",
            retention.archive.name,
            retention.archive.timeout,
        ),
        Service(
            "notices",
            "Notices of the clients' bank",
            "Tell the portal of transfers that came in. Nobody calls it: it calls.",
            "",
            0.0,
            (Mode.OK, Mode.SILENT, Mode.TWICE),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A mode as the page shows it. ``state`` is one of the seven; ``seconds`` the delay of a slow service."""

    mode: Mode
    label: str
    state: str
    happens: str
    seconds: float = 30.0


BEHAVIOURS = {
    behaviour.mode: behaviour
    for behaviour in (
        Behaviour(Mode.OK, "Well", "ok", "Answers as it should."),
        Behaviour(Mode.DOWN, "Down", "failed", "Refuses every request at once (503) and does no work."),
        Behaviour(Mode.SLOW, "Slow", "degraded", "Does the work at once, but answers 30 s later."),
        Behaviour(
            Mode.RATE_LIMITED, "Limited", "degraded", "Refuses every request: too many, come back in 5 s (429)."
        ),
        Behaviour(Mode.HALF_RESPONSE, "Cut off", "degraded", "Does the work, then breaks off its answer."),
        Behaviour(Mode.RENAMED, "Renamed", "failed", "Answers at once, but its fields have other names."),
        Behaviour(Mode.SILENT, "Silent", "failed", "Credits transfers, but tells nobody of them."),
        Behaviour(Mode.TWICE, "Twice", "degraded", "Sends every notice two times."),
    )
}


_WATCHED_THE_SAME = {
    Mode.OK: "",
    Mode.SILENT: (
        "Runs wait for their payment until their time is over, then remind the client: nothing hangs. "
        "Switched back in time, the bank sends what it owes."
    ),
    Mode.TWICE: (
        "The second notice is answered with the first: each payment is booked once, and one receipt goes out."
    ),
    Mode.RENAMED: (
        "Each document is refused, with its reference and the field, before anything is archived; the run fails. "
        "Switched back, Resume reads them again."
    ),
}


def what_to_watch(service: Service, mode: Mode) -> str:
    """Return one or two sentences on what runs do while the service behaves so."""
    name, seconds = service.dependency, f"{service.timeout_seconds:g} s"
    if mode in _WATCHED_THE_SAME:
        return _WATCHED_THE_SAME[mode]
    if service.slug == "mail":
        return (
            f"Steps that call {name} are optional: after their last try the run ends as degraded, the money is safe."
        )
    if mode is Mode.DOWN:
        return f"Runs that call {name} wait for it and say so. Nothing fails; they go on by themselves afterwards."
    if mode is Mode.RATE_LIMITED:
        return "Steps are tried again, not before the time that the service asked for."
    if service.slug == "banking":
        return "The outcome is unknown. The bank is asked by reference before anything is paid again."
    if mode is Mode.SLOW and service.slug == "documents":
        return f"Attempts end after {seconds}. Reading changes nothing, so each is simply tried again."
    if service.slug == "archive":
        return "Copies are put again under their own reference, which changes nothing if they are there."
    if mode is Mode.SLOW:
        return f"Attempts end after {seconds}; a retry is scheduled at a shown time. The charge is not made twice."
    return "The step is tried again with the same operation key and finds the charge that was made."

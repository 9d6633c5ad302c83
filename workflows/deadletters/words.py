"""What happened to a dead letter, and what a command on it will do: in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portal.core.moments import absolute_words
from workflows.deadletters.conf import KEPT_FOR, REPLAY_LIMIT
from workflows.dialogs import Words
from workflows.models import DeadLetter, InboxMessage
from workflows.presentation import short_id

_Reason, _Status = DeadLetter.Reason, DeadLetter.Status


def consumer_title(letter: DeadLetter) -> str:
    """Return the name of who should have acted: a workflow's title, or the bare name of one that is gone."""
    return letter.workflow.title if letter.workflow else letter.consumer


def what_happened(letter: DeadLetter) -> str:
    """Return why the event is here, in a sentence."""
    event, who = letter.message.name, consumer_title(letter)
    message = str(letter.error.get("message", "")).rstrip(".")
    match _Reason(letter.reason):
        case _Reason.CONTRACT:
            return f"“{event}” does not say what “{who}” needs: {message}."
        case _Reason.REJECTED:
            return f"“{who}” refused “{event}”: {message}."
        case _Reason.EXHAUSTED:
            tries = "1 try" if letter.attempts == 1 else f"{letter.attempts} tries"
            return f"“{who}” could not act on “{event}” in {tries}: {message}."
        case _Reason.UNKNOWN_CONSUMER:
            return f"“{event}” is for “{letter.consumer}”, which is not in the code any more."


def what_now(letter: DeadLetter) -> str:
    """Return how the letter stands and what that means, in a sentence."""
    match _Status(letter.status):
        case _Status.OPEN if letter.replay_count:
            again = "died again" if letter.replay_count == 1 else "died again each time"
            return f"It was replayed {times(letter.replay_count)} and {again}."
        case _Status.OPEN:
            return "Nothing is lost: it waits here until somebody replays or discards it."
        case _Status.DISCARDED:
            return "Nobody acts on it any more."
        case _ if letter.inbox.status == InboxMessage.Status.PENDING:
            return "It was handed over again; its subscriber has not answered yet."
        case _:
            return "It was handed over again, and its subscriber acted on it."


def times(count: int) -> str:
    """Return "once", "twice" or "3 times"."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def dialog_words(command: str, letter: DeadLetter) -> Words:
    """Return the words of the dialog of ``command``."""
    return _DIALOGS[command](letter)


def _replay(letter: DeadLetter) -> Words:
    left = REPLAY_LIMIT - letter.replay_count - 1
    after = f"After this, {left or 'no'} more {'replay is' if left == 1 else 'replays are'} allowed"
    effects = [
        f"“{letter.message.name}” is handed to “{consumer_title(letter)}” again, as it is.",
        f"If that fails, it comes back here. {after} without a change.",
    ]
    return Words(f"Replay {_name(letter)}?", "Replay", effects, _ONCE)


def _edit(letter: DeadLetter) -> Words:
    effects = [
        f"“{consumer_title(letter)}” gets the event as you write it here.",
        "What you change is kept with the letter, with your name and reason.",
    ]
    kept = (*_ONCE, "The event itself stays as it was emitted.")
    return Words(f"Edit and replay {_name(letter)}", "Replay as edited", effects, kept)


def _discard(letter: DeadLetter) -> Words:
    message = letter.message
    worth = f" It is worth {message.amount:,.2f} {message.currency}.".replace(",", " ") if message.amount else ""
    effects = [
        f"“{consumer_title(letter)}” will not act on this “{message.name}”.{worth}",
        f"For {KEPT_FOR.days} days it can be brought back; then it is removed.",
    ]
    kept = ["The event itself stays, and so does what its other subscribers made of it."]
    return Words(f"Discard {_name(letter)}?", "Discard", effects, kept, "Leave it as it is", is_danger=True)


def _restore(letter: DeadLetter) -> Words:
    effects = ["It is open again, to be replayed, edited or discarded. Nothing is sent yet."]
    kept = [f"Discarded by {letter.discarded_by}: {letter.discard_reason}"]
    return Words(f"Bring {_name(letter)} back?", "Bring back", effects, kept)


def removed_words(letter: DeadLetter) -> str:
    """Return until when a discarded letter can be brought back."""
    assert letter.discarded_at is not None  # noqa: S101 - the table's constraint
    return absolute_words(letter.discarded_at + KEPT_FOR)


def _name(letter: DeadLetter) -> str:
    return f"dead letter {short_id(letter.pk)}"


_ONCE = ("Other subscribers of the event do not get it again.",)
_DIALOGS: Mapping[str, Callable[[DeadLetter], Words]] = {
    "replay": _replay,
    "edit": _edit,
    "discard": _discard,
    "restore": _restore,
}

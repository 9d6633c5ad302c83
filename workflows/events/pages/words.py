"""What a command on a missed event will do, told before it is done."""

from __future__ import annotations

from workflows.dialogs import Words
from workflows.models import InboxMessage
from workflows.presentation import short_id

SEND_REASONS = ("The subscriber was away and is back.", "A run waits for it now.")
GIVE_UP_REASONS = ("Settled by hand outside of the portal.", "Nobody will ever wait for it.")


def consumer_title(row: InboxMessage) -> str:
    """Return the name of who should have acted: a workflow's title, or the bare name of one that is gone."""
    return row.workflow.title if row.workflow else row.consumer


def why_missing(row: InboxMessage) -> str:
    """Return why nobody may have acted on it, in a few words."""
    if row.kind == InboxMessage.Kind.WAIT:
        return "No run has waited for its key."
    return "No worker has acted on it."


def send_words(row: InboxMessage) -> Words:
    """Return the words of the dialog that sends one again."""
    effects = [f"“{consumer_title(row)}” gets “{row.message.name}” again and acts on it, once."]
    if row.kind == InboxMessage.Kind.WAIT:
        effects.append("If still no run waits for its key, it stays here.")
    kept = ["Other subscribers do not get it again."]
    return Words(f"Send event {short_id(row.message_id)} again?", "Send again", effects, kept)


def give_up_words(row: InboxMessage) -> Words:
    """Return the words of the dialog that gives one up."""
    effects = [f"“{consumer_title(row)}” will not act on it, and it is not missing any more."]
    kept = ["The event itself stays, and so does what its other subscribers made of it."]
    title = f"Give event {short_id(row.message_id)} up?"
    return Words(title, "Give up", effects, kept, "Leave it as it is", is_danger=True)

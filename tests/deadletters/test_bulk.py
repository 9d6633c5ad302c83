"""Many dead letters at once: the dry run, what stands in the way, and what became of each."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from portal.core.clock import now
from portal.core.errors import InvalidInput
from tests.deadletters.shop import make_letter
from tests.factories import make_run
from tests.personas import Personas
from workflows.bulk.kinds import NotNeeded, Outcome
from workflows.bulk.registry import command_of, kind_of
from workflows.deadletters.conf import REPLAY_LIMIT
from workflows.engine.state import RunStatus
from workflows.models import DeadLetter, InboxMessage

pytestmark = pytest.mark.django_db
REASON = "The client is in the register now"
REPLAY = command_of("dead_letter", "replay")
Status = DeadLetter.Status


def test_five_go_first(personas: Personas) -> None:
    assert tuple(REPLAY.ladder) == (5,)


def test_a_filter_finds_what_the_list_shows(personas: Personas) -> None:
    letter = make_letter()
    make_letter(status=Status.REPLAYED)
    kind = kind_of("dead_letter")
    for query in ("", "consumer=test-book-payment&reason=contract", f"q={letter.message.key}"):
        assert [found.pk for found in kind.find(personas.actor("operator"), QueryDict(query))] == [letter.pk]
    assert not kind.find(personas.actor("team_operator"), QueryDict("")).exists()
    with pytest.raises(InvalidInput):
        kind.find(personas.actor("operator"), QueryDict("consumr=test-book-payment"))


def test_the_dry_run_tells_what_would_happen_and_what_stands_in_the_way(personas: Personas) -> None:
    ready, worn = make_letter(), make_letter(replay_count=REPLAY_LIMIT)
    gone = make_letter(status=Status.DISCARDED, discarded_at=now())
    ids = [letter.pk for letter in (ready, worn, gone)]
    found = {candidate.id: candidate for candidate in REPLAY.preview(personas.actor("operator"), ids)}
    assert found[ready.pk].why_not == ""
    assert found[ready.pk].does == ("“test.received” is handed to “Book a payment” again",)
    assert (str(found[ready.pk].amount), found[ready.pk].currency) == ("250.00", "EUR")
    assert "5 times" in found[worn.pk].why_not
    assert "discarded" in found[gone.pk].why_not
    assert {c.why_not[:8] for c in REPLAY.preview(personas.actor("support"), ids)} == {"You lack"}


def test_each_is_replayed_as_if_alone(personas: Personas) -> None:
    letter = make_letter()
    REPLAY.apply(personas.actor("operator"), letter.pk, REASON)
    letter.refresh_from_db()
    assert letter.status == Status.REPLAYED
    with pytest.raises(NotNeeded):
        REPLAY.apply(personas.actor("operator"), letter.pk, REASON)


def test_what_became_of_each_is_told(personas: Personas) -> None:
    pending, handled, again, failed = (make_letter(status=Status.REPLAYED) for _ in range(4))
    InboxMessage.objects.filter(pk=pending.inbox_id).update(status="pending")
    DeadLetter.objects.filter(pk=again.pk).update(status=Status.OPEN)
    run = make_run(failed.workflow, status=RunStatus.FAILED, at="book")
    for letter, led_to in ((handled, None), (failed, run)):
        InboxMessage.objects.filter(pk=letter.inbox_id).update(status="handled", handled_at=now(), run=led_to)
    verdicts = REPLAY.settled([letter.pk for letter in (pending, handled, again, failed)])
    assert [verdicts[letter.pk].outcome for letter in (pending, handled, again, failed)] == [
        Outcome.OPEN,
        Outcome.GOOD,
        Outcome.BAD,
        Outcome.BAD,
    ]
    assert verdicts[again.pk].words.startswith("Died again: PayloadDoesNotFit")


def test_discarding_many_is_dangerous_and_starts_with_one(personas: Personas) -> None:
    discard = command_of("dead_letter", "discard")
    assert discard.is_danger
    assert discard.ladder[0] == 1
    letter = make_letter()
    discard.apply(personas.actor("operator"), letter.pk, REASON)
    assert discard.settled([letter.pk])[letter.pk].outcome is Outcome.GOOD

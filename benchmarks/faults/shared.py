"""What the probes left behind: fan-outs, events and their consumers, and a counter behind a lock."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.faults.installation import Installation


def items_happened_once(at: Installation) -> Iterator[str]:
    """Each item of a fan-out had at most one effect, and one that is done had one."""
    sent = at.sandbox.client.records("receipts").by_key
    for row in at.facts(
        "SELECT i.run_id || ':' || i.step || ':' || i.generation || ':' || i.index AS key, i.status"
        " FROM workflows_stepitem i JOIN workflows_run r ON r.id = i.run_id"
        " JOIN workflows_workflow w ON w.id = r.workflow_id WHERE w.slug = 'torture-batch'"
    ):
        effects = sent.get(row["key"], (0, 0))[1]
        if effects > 1 or (row["status"] == "succeeded" and effects != 1):
            yield f"item {row['key']} is {row['status']} and had {effects} effects"
    for row in at.facts(
        "SELECT run_id, step, lease_owner FROM workflows_itemslot WHERE lease_expires_at > clock_timestamp()"
    ):  # fmt: skip
        yield f"a slot of {row['step']} of run {row['run_id']} is still held by {row['lease_owner']}"


def events_acted_once(at: Installation) -> Iterator[str]:
    """Each step that emits has its event, and each event has acted once, or is a dead letter that says why."""
    for row in at.facts(
        "SELECT s.run_id, s.status, count(o.id) AS told FROM workflows_steprun s"
        " LEFT JOIN workflows_outboxmessage o ON o.run_id = s.run_id AND o.step = s.step"
        " WHERE s.step = 'sell' GROUP BY s.run_id, s.status"
        " HAVING count(o.id) <> CASE s.status WHEN 'succeeded' THEN 1 ELSE 0 END"
    ):
        yield f"run {row['run_id']}: its step is {row['status']} and has told {row['told']} events"
    for row in at.facts(
        "SELECT o.id, o.payload ->> 'sale' AS sale, min(i.status) AS status, count(i.id) AS inboxes,"
        " (SELECT count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id"
        "  WHERE w.slug = 'torture-parcel' AND r.input ->> 'sale' = o.payload ->> 'sale') AS runs,"
        " (SELECT count(*) FROM torture_parcel p WHERE p.sale = o.payload ->> 'sale') AS parcels,"
        " (SELECT count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id"
        "  JOIN workflows_steprun s ON s.run_id = r.id WHERE w.slug = 'torture-parcel' AND s.status = 'succeeded'"
        "  AND r.input ->> 'sale' = o.payload ->> 'sale') AS packed"
        " FROM workflows_outboxmessage o LEFT JOIN workflows_inboxmessage i ON i.message_id = o.id"
        " WHERE o.name = 'torture.sold' GROUP BY o.id"
    ):
        wanted = 1 if row["status"] == "handled" else 0
        if row["inboxes"] != 1 or row["status"] not in {"handled", "dead"} or row["runs"] != wanted:
            yield f"event {row['id']}: {row['inboxes']} inbox rows ({row['status']}) and {row['runs']} runs"
        if row["parcels"] != row["packed"]:
            yield f"event {row['id']}: {row['parcels']} parcels, and by the checkpoints {row['packed']}"


def locks_lost_nothing(at: Installation) -> Iterator[str]:
    """The counter behind the lock is exact, and no run that has ended holds a lock or a place before one."""
    ((value,),) = at.ask("SELECT value FROM torture_counter")
    ((counted,),) = at.ask("SELECT count(*) FROM workflows_steprun WHERE step = 'count' AND status = 'succeeded'")
    if value != counted:
        yield f"the counter says {value}, and {counted} steps have counted"
    for row in at.facts(
        "SELECT l.key, r.id, r.status FROM workflows_resourcelock l JOIN workflows_run r ON r.id = l.run_id"
        " WHERE r.ended_at IS NOT NULL"
    ):
        yield f"lock {row['key']} is held by run {row['id']}, which is {row['status']}"
    for row in at.facts(
        "SELECT t.lock_id, r.id, r.status FROM workflows_lockticket t JOIN workflows_run r ON r.id = t.run_id"
        " WHERE r.ended_at IS NOT NULL"
    ):
        yield f"run {row['id']}, which is {row['status']}, still queues for lock {row['lock_id']}"

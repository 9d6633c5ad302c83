"""Events between workflows: the outbox, the router, each subscriber's inbox, waits, and what was never consumed.

``ctx.emit`` writes an event with the step's checkpoint (``store``). The dispatcher writes one inbox row for each
subscriber (``router``), and a worker acts on it, once (``inbox``). A run at a ``wait_for`` has a row of its own
(``waits``). What cannot be acted on becomes a dead letter (``letters``).
"""

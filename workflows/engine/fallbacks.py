"""Fallbacks that are no function of the author: the last good output, or a person."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from workflows.definition.fallbacks import Cached
from workflows.definition.locking import fill
from workflows.engine import store

if TYPE_CHECKING:
    from workflows.engine.plan import AnyStep
    from workflows.engine.session import Session


def remember(session: Session, step: AnyStep, output: Any) -> None:
    """Keep the output for later runs, in the transaction of the step's checkpoint."""
    cached = step.options.fallback
    if not isinstance(cached, Cached):
        return
    workflow, key = session.claimed.workflow, _key(session, step, cached)
    seconds = cached.max_age.total_seconds()
    session.write_along(lambda: store.keep_output(workflow, step.name, key, output, seconds))


def last_good(session: Session, step: AnyStep, cached: Cached) -> store.Kept | None:
    """Return the last good output for the same values, or None without one that is young enough."""
    key = _key(session, step, cached)
    return store.kept_output(session.claimed.workflow, step.name, key, cached.max_age.total_seconds())


def _key(session: Session, step: AnyStep, cached: Cached) -> str:
    """Return what the output depends on, as a digest: values may be long, and not everybody may read them."""
    if cached.key is not None:
        values: Any = fill(cached.key, session.values)
    else:
        name_of_input = session.definition.input_name
        values = {
            name: session.claimed.input if name == name_of_input else session.checkpoints[name].output
            for name in step.body.signature.parameters
        }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

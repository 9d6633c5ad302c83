"""Which right each address needs: the table that the portal is held against. A new address needs a row."""

from __future__ import annotations

from dataclasses import dataclass, field

from portal.core.permissions import Permission as P


@dataclass(frozen=True, slots=True)
class Row:
    """What an address needs. ``right`` None: a sign-in and nothing more; "public": not even that.

    ``about`` overrides what the names in the path stand for. ``misses``: with an empty form even those who
    may get a 404, because what the form names is not there.
    """

    right: P | str | None
    methods: tuple[str, ...] = ("get",)
    about: dict[str, str] = field(default_factory=dict)
    misses: bool = False


PUBLIC = "public"
POST = ("post",)
BOTH = ("get", "post")

ROWS: dict[str, Row] = {
    # where people arrive
    "landing": Row(None),
    "overview": Row(None),
    "lookup": Row(P.VIEW_RUN),
    "runbook": Row(P.VIEW_WORKFLOW),
    # signing in, probes, the frame
    "login": Row(PUBLIC),
    "logout": Row(None, POST),
    "livez": Row(PUBLIC),
    "readyz": Row(PUBLIC),
    "metrics": Row(PUBLIC),
    "search": Row(None),
    "help": Row(None),
    "style": Row(None),
    "style-clock": Row(None),
    "style-dialog": Row(None),
    "preferences": Row(None, BOTH),
    "password": Row(None, BOTH),
    "set-theme": Row(None, POST),
    "set-zone": Row(None, POST),
    # workflows and runs
    "workflow-list": Row(P.VIEW_WORKFLOW),
    "workflow-detail": Row(P.VIEW_WORKFLOW),
    "workflow-map-fragment": Row(P.VIEW_WORKFLOW),
    "workflow-history": Row(P.VIEW_RUN),
    "workflow-versions": Row(P.VIEW_WORKFLOW),
    "workflow-pause": Row(P.PAUSE_WORKFLOW, BOTH),
    "workflow-resume": Row(P.PAUSE_WORKFLOW, BOTH),
    "workflow-start": Row(P.START_RUN, BOTH),
    "run-list": Row(P.VIEW_RUN),
    "run-views": Row(P.VIEW_RUN),
    "run-view-new": Row(P.VIEW_RUN, BOTH),
    "run-view-remove": Row(P.VIEW_RUN, POST, misses=True),
    "run-export": Row(P.VIEW_RUN, POST),
    "run-detail": Row(P.VIEW_RUN),
    "run-items": Row(P.VIEW_RUN, about={"step": "charge"}, misses=True),
    "run-resume": Row(P.RESUME_RUN, BOTH),
    "run-retry": Row(P.RETRY_STEP, BOTH, misses=True),
    "run-skip": Row(P.SKIP_STEP, BOTH, misses=True),
    "run-decide": Row(P.DECIDE_STEP, BOTH, misses=True),
    "run-approve": Row(P.APPROVE_STEP, BOTH),
    "run-reject": Row(P.APPROVE_STEP, BOTH),
    "run-pause": Row(P.PAUSE_RUN, BOTH),
    "run-cancel": Row(P.CANCEL_RUN, BOTH),
    "run-rollback": Row(P.ROLL_BACK_RUN, BOTH),
    # bulk repair
    "bulk-list": Row(P.VIEW_RUN),
    "bulk-new": Row(P.START_BULK_OPERATION, BOTH, misses=True),
    "bulk-detail": Row(P.VIEW_RUN),
    "bulk-pause": Row(P.START_BULK_OPERATION, BOTH),
    "bulk-continue": Row(P.START_BULK_OPERATION, BOTH),
    "bulk-stop": Row(P.START_BULK_OPERATION, BOTH),
    "bulk-approve": Row(P.APPROVE_BULK_OPERATION, BOTH),
    "bulk-reject": Row(P.APPROVE_BULK_OPERATION, BOTH),
    # the demo's sandbox
    "sandbox": Row(P.OPERATE_SANDBOX),
    "sandbox-switch": Row(P.OPERATE_SANDBOX, POST, about={"slug": "payments"}),
    "sandbox-twice": Row(P.OPERATE_SANDBOX, POST, misses=True),
    "sandbox-interrupt": Row(P.OPERATE_SANDBOX, POST, misses=True),
    "sandbox-kill": Row(P.OPERATE_SANDBOX, POST, misses=True),
    # the audit trail
    "audit-list": Row(P.VIEW_AUDIT),
    "audit-entry": Row(P.VIEW_AUDIT),
    "audit-verify": Row(P.VIEW_AUDIT, POST),
    "audit-export": Row(P.EXPORT_AUDIT, POST),
    # access
    "access": Row(P.VIEW_ACCESS),
    "access-person": Row(P.VIEW_ACCESS),
    "access-person-new": Row(P.MANAGE_ACCESS, BOTH),
    "access-person-off": Row(P.MANAGE_ACCESS, BOTH),
    "access-person-on": Row(P.MANAGE_ACCESS, BOTH),
    "access-role-grant": Row(P.MANAGE_ACCESS, BOTH),
    "access-role-revoke": Row(P.MANAGE_ACCESS, BOTH),
    "access-grant": Row(P.MANAGE_ACCESS, BOTH),
    "access-grant-revoke": Row(P.MANAGE_ACCESS, BOTH, misses=True),
    "tokens": Row(P.MANAGE_OWN_TOKENS, BOTH),
    "token-revoke": Row(P.MANAGE_OWN_TOKENS, POST),
    # dependencies
    "dependency-list": Row(P.VIEW_WORKFLOW),
    "dependency-detail": Row(P.VIEW_WORKFLOW),
    "dependency-hold-open": Row(P.OPERATE_DEPENDENCY, BOTH),
    "dependency-hold-closed": Row(P.OPERATE_DEPENDENCY, BOTH),
    "dependency-reset": Row(P.OPERATE_DEPENDENCY, BOTH),
    # locks
    "lock-list": Row(P.VIEW_RUN),
    "lock-break": Row(P.BREAK_LOCK, BOTH),
    # schedules
    "schedule-list": Row(P.VIEW_WORKFLOW),
    "schedule-pause": Row(P.PAUSE_WORKFLOW, BOTH),
    "schedule-resume": Row(P.PAUSE_WORKFLOW, BOTH),
    "schedule-start": Row(P.START_RUN, BOTH),
    "schedule-catch-up": Row(P.START_RUN, BOTH),
    "schedule-skip": Row(P.START_RUN, BOTH),
    # events
    "completeness": Row(P.VIEW_RUN),
    "completeness-summary": Row(P.VIEW_RUN),
    "missed-send": Row(P.REPLAY_DEAD_LETTER, BOTH),
    "missed-give-up": Row(P.DISCARD_DEAD_LETTER, BOTH),
    "contract-list": Row(P.VIEW_WORKFLOW),
    "contract": Row(P.VIEW_WORKFLOW, misses=True),
    # dead letters
    "dead-letter-list": Row(P.VIEW_RUN),
    "dead-letter-overview": Row(P.VIEW_RUN),
    "dead-letter": Row(P.VIEW_RUN),
    "dead-letter-replay": Row(P.REPLAY_DEAD_LETTER, BOTH),
    "dead-letter-edit": Row(P.EDIT_DEAD_LETTER, BOTH),
    "dead-letter-discard": Row(P.DISCARD_DEAD_LETTER, BOTH),
    "dead-letter-restore": Row(P.DISCARD_DEAD_LETTER, BOTH),
    # reconciliation
    "reconciliation-list": Row(P.VIEW_RUN),
    "reconciliation-detail": Row(P.VIEW_RUN, about={"check": "trust-account"}),
    "reconciliation-compare": Row(P.START_RUN, POST, about={"check": "trust-account"}),
    # the API
    "api-schema": Row(None),
    "api-reference": Row(None),
    "api/v1/^(?P<rest>.*)$": Row(PUBLIC, misses=True),
    "api-audit-list": Row(P.VIEW_AUDIT),
    "api-workflow-list": Row(P.VIEW_WORKFLOW),
    "api-workflow-detail": Row(P.VIEW_WORKFLOW),
    "api-workflow-pause": Row(P.PAUSE_WORKFLOW, POST),
    "api-workflow-resume": Row(P.PAUSE_WORKFLOW, POST),
    "api-run-start": Row(P.START_RUN, POST),
    "api-run-list": Row(P.VIEW_RUN),
    "api-run-detail": Row(P.VIEW_RUN),
    "api-run-events": Row(P.VIEW_RUN),
    "api-run-items": Row(P.VIEW_RUN, about={"step": "charge"}),
    "api-run-rollback-preview": Row(P.VIEW_RUN),
    "api-run-resume": Row(P.RESUME_RUN, POST),
    "api-run-retry": Row(P.RETRY_STEP, POST),
    "api-run-skip": Row(P.SKIP_STEP, POST),
    "api-run-decide": Row(P.DECIDE_STEP, POST),
    "api-run-approve": Row(P.APPROVE_STEP, POST),
    "api-run-reject": Row(P.APPROVE_STEP, POST),
    "api-run-pause": Row(P.PAUSE_RUN, POST),
    "api-run-cancel": Row(P.CANCEL_RUN, POST),
    "api-run-rollback": Row(P.ROLL_BACK_RUN, POST),
    "api-lock-list": Row(P.VIEW_RUN),
    "api-lock-break": Row(P.BREAK_LOCK, POST),
    "api-bulk-list": Row(P.VIEW_RUN),
    "api-bulk-detail": Row(P.VIEW_RUN),
    "api-bulk-items": Row(P.VIEW_RUN),
    "api-bulk-pause": Row(P.START_BULK_OPERATION, POST),
    "api-bulk-continue": Row(P.START_BULK_OPERATION, POST),
    "api-bulk-stop": Row(P.START_BULK_OPERATION, POST),
    "api-bulk-approve": Row(P.APPROVE_BULK_OPERATION, POST),
    "api-bulk-reject": Row(P.APPROVE_BULK_OPERATION, POST),
    "api-event-emit": Row(P.EMIT_EVENT, POST),
    "api-schedule-list": Row(P.VIEW_WORKFLOW),
    "api-schedule-pause": Row(P.PAUSE_WORKFLOW, POST),
    "api-schedule-resume": Row(P.PAUSE_WORKFLOW, POST),
    "api-schedule-run-now": Row(P.START_RUN, POST),
    "api-dependency-list": Row(P.VIEW_WORKFLOW),
    "api-completeness": Row(P.VIEW_RUN),
    "api-missed-list": Row(P.VIEW_RUN),
    "api-missed-send": Row(P.REPLAY_DEAD_LETTER, POST),
    "api-missed-give-up": Row(P.DISCARD_DEAD_LETTER, POST),
    "api-contract-list": Row(P.VIEW_WORKFLOW),
    "api-contract": Row(P.VIEW_WORKFLOW, about={"event": "test.received"}, misses=True),
    "api-dependency-detail": Row(P.VIEW_WORKFLOW),
    "api-dependency-hold-open": Row(P.OPERATE_DEPENDENCY, POST),
    "api-dependency-hold-closed": Row(P.OPERATE_DEPENDENCY, POST),
    "api-dependency-reset": Row(P.OPERATE_DEPENDENCY, POST),
    "api-dead-letter-list": Row(P.VIEW_RUN),
    "api-dead-letter": Row(P.VIEW_RUN),
    "api-dead-letter-replay": Row(P.REPLAY_DEAD_LETTER, POST),
    "api-dead-letter-edit": Row(P.EDIT_DEAD_LETTER, POST),
    "api-dead-letter-discard": Row(P.DISCARD_DEAD_LETTER, POST),
    "api-dead-letter-restore": Row(P.DISCARD_DEAD_LETTER, POST),
    "api-reconciliation-list": Row(P.VIEW_RUN),
    "api-reconciliation-detail": Row(P.VIEW_RUN, about={"check": "trust-account"}),
}

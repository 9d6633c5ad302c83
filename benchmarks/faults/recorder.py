"""A flight recorder in the torture's own database: triggers that note every change of state, and who made it.

It knows nothing of the engine's code, so it also sees what a broken engine does. Who: libpq's PGAPPNAME, which
each process of the torture carries.
"""

from __future__ import annotations

import psycopg

_TABLES = """
CREATE TABLE torture_run (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), who text NOT NULL,
    run uuid NOT NULL, old text, new text NOT NULL, old_fence bigint, fence bigint NOT NULL,
    old_owner text, owner text NOT NULL);
CREATE TABLE torture_step (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), who text NOT NULL,
    run uuid NOT NULL, step text NOT NULL, old text, new text NOT NULL, generation int NOT NULL,
    fence bigint NOT NULL, run_fence bigint NOT NULL);
CREATE TABLE torture_counter (value int NOT NULL);
INSERT INTO torture_counter VALUES (0);
CREATE TABLE torture_parcel (sale text NOT NULL);
"""
_RUNS = """
CREATE FUNCTION torture_note_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO torture_run (who, run, old, new, old_fence, fence, old_owner, owner)
    VALUES (current_setting('application_name'), NEW.id, OLD.status, NEW.status, OLD.fence, NEW.fence,
        OLD.lease_owner, NEW.lease_owner);
    RETURN NULL;
END $$;
CREATE TRIGGER torture_run_changed AFTER UPDATE ON workflows_run FOR EACH ROW
WHEN (ROW(OLD.status, OLD.fence, OLD.lease_owner) IS DISTINCT FROM ROW(NEW.status, NEW.fence, NEW.lease_owner))
EXECUTE FUNCTION torture_note_run();
"""
_STEPS = """
CREATE FUNCTION torture_note_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO torture_step (who, run, step, old, new, generation, fence, run_fence)
    SELECT current_setting('application_name'), NEW.run_id, NEW.step,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.generation, NEW.fence, r.fence
    FROM workflows_run r WHERE r.id = NEW.run_id;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_step_changed AFTER INSERT OR UPDATE ON workflows_steprun
FOR EACH ROW EXECUTE FUNCTION torture_note_step();
"""

PARTS = (_TABLES, _RUNS, _STEPS)


def install(url: str) -> None:
    """Put the recorder into the database."""
    with psycopg.connect(url) as connection:
        for part in PARTS:
            connection.execute(part)

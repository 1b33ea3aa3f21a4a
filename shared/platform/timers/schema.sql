-- Deadlines: an edge as one of its parties knows it, the steps that both parties know, and the timers that follow from
-- these and the policy. Timers and times can be emptied and computed again. A client that can write this table can
-- suppress a party's notifications, and can end a preservation early or late. Records and answers stay visible.
-- `edge` and `received` inherit these columns: the deadline of an edge that has a row there is that row. An edge of a
-- party is in one of the tables. `started_at` is null in rows without a deadline.

CREATE TABLE deadline (
    started_at timestamptz,
    -- The time of the scheduler's next pass over the row: at once if timers were never computed, null if no
    -- notification is left.
    due_at timestamptz,
    -- The time at which the first open timer falls due or fell due. Null: no timer is open.
    overdue_at timestamptz,
    -- The same for timers that can become overdue: all but the ends of preservations.
    late_at timestamptz,
    acknowledge_h integer,
    act_h integer,
    edge_id uuid NOT NULL,
    party text NOT NULL,
    -- The id in messages, and the id by which this party knows the subject if that is another one: for a notice at its
    -- origin, the referral's.
    subject uuid,
    known_as uuid,
    -- Without an origin, the party is the origin.
    origin text,
    recipient text,
    purpose text NOT NULL,
    -- Separated by commas.
    clock_rules text,
    -- Set for preservations only: the legal instrument, and the clock event of the request. Both are empty otherwise.
    instrument text NOT NULL DEFAULT '',
    start_event text NOT NULL DEFAULT '',
    -- [at, did, code, of] in order, each once. `at` is in microseconds since 1970.
    steps jsonb NOT NULL DEFAULT '[]',
    -- [due_at, clock, run, owed_by, due, consequence, rung], soonest first, as stored text
    -- (shared/platform/database/stored_text.py). Null until they were computed once.
    timers bytea,
    -- The code of the reason why deadlines cannot be computed. The scheduler tries again at `due_at`.
    failure_code text,
    PRIMARY KEY (edge_id, party)
);
CREATE INDEX deadline_subject ON deadline (subject, party);
CREATE INDEX deadline_known ON deadline (known_as, party) WHERE known_as IS NOT NULL;
CREATE INDEX deadline_due ON deadline (due_at) WHERE due_at IS NOT NULL;
-- A row is in one of the two indexes: with a timer that can become overdue, or with only ends of preservations.
CREATE INDEX deadline_overdue ON deadline (party, overdue_at, edge_id)
    WHERE overdue_at IS NOT NULL AND late_at IS NOT NULL;
CREATE INDEX deadline_ending ON deadline (party, overdue_at, edge_id)
    WHERE overdue_at IS NOT NULL AND late_at IS NULL;
CREATE INDEX deadline_failed ON deadline (edge_id) WHERE failure_code IS NOT NULL;

-- A deadline belongs to a subject of any resource: every permitted act of the role sees it and adds its step. Only the
-- owner removes rows, for retention.
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE (subject, known_as, origin, recipient, clock_rules, acknowledge_h,
    act_h, started_at, steps, timers, due_at, overdue_at, late_at, failure_code)', 'deadline');
SELECT pg_temp.isolate('deadline', NULL,
    added => 'submit release amend reroute apply', changed => 'acts', removed => 'apply');

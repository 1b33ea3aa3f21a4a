-- Subjects that other parties sent, one row for each subject and recipient party: offers to hotlines, notices to
-- providers, cases of agencies. A column of one kind is null in rows of the others. A process that can write this table
-- can hide a row from its party or misstate its progress here. The sender and audit still show that the subject was
-- sent, received and answered.
-- A row is also that of the track on which its subject came (shared/delivery/tracks.sql), and that of the
-- deadline of its edge (shared/platform/timers/schema.sql): its subject, party, edge and purpose are columns of these.
CREATE TABLE received (
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- When the current record arrived, if it replaced an earlier one.
    amended_at timestamptz,
    -- The order of lists: microseconds of `received_at`. Open rows with a child at risk are above all others.
    sort_key bigint NOT NULL GENERATED ALWAYS AS (
        (extract(epoch FROM received_at - timestamptz '1970-01-01 00:00:00+00') * 1000000)::bigint
        + CASE WHEN priority = 'p0_child_at_risk' AND state IN (
            'offered', 'claimable', 'issued', 'acknowledged', 'reappeared', 'in_part', 'accepted', 'ongoing')
            THEN 4611686018427387904 ELSE 0 END) STORED,
    -- The current revision, the revision of the edge in this row, and the number of the party's acts on it.
    revision integer NOT NULL,
    edge_revision integer NOT NULL,
    act_count integer NOT NULL DEFAULT 0,
    -- The number of these acts that the sender reported: done at another instance, before the party moved here.
    reported_act_count integer NOT NULL DEFAULT 0,
    exercise boolean NOT NULL,
    kind text NOT NULL,
    sender text NOT NULL,
    state text NOT NULL,
    -- As its sender states it; null if the sender does not tell a provider.
    priority text,
    -- The retention class of its edge.
    retention text NOT NULL,
    -- The numbers of its items; a case names them in its record alone.
    item_numbers smallint[],
    -- Only for notices: a provider's own report counts by these columns, without opening records.
    language text,
    incident_kind text,
    -- Whether a trusted flagger sent it under the DSA; null if it was not sent under the DSA.
    flagged boolean,
    -- The agency's own reference of a case, under a key of its own, and a keyed token for lookup. Equal tokens show
    -- that cases have the same reference, but not which one.
    case_reference bytea,
    reference_key bytea,
    reference_token bytea,
    wrapped_key bytea,
    -- The content proof of its message (`content_proof`).
    proof_id uuid,
    -- The party's answers in its own acts, by the name of each word: codes and times, no text of its own.
    answers jsonb NOT NULL DEFAULT '{}',
    -- Byte for byte as it came, compressed (shared/platform/database/stored_text.py).
    edge bytea NOT NULL,
    -- The message as it came: the record is read from it, and is its own proof. Erasing it erases both.
    record bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (subject, party) WITH (fillfactor = 100),
    CONSTRAINT received_kind CHECK (kind IN ('offer', 'notice', 'case')),
    CONSTRAINT received_answers_bound CHECK (octet_length(answers::text) <= CASE kind WHEN 'case' THEN 4096 ELSE 1048576 END),
    CONSTRAINT received_record_bound CHECK (octet_length(record) <= 131072),
    CONSTRAINT received_reference_bound CHECK (octet_length(case_reference) <= 128),
    CONSTRAINT received_token_bound CHECK (octet_length(reference_token) = 16)
) INHERITS (track, deadline) WITH (toast_tuple_target = 1600);
-- A track's id is a digest of its subject and parties, and an edge's id is random: no further column is needed.
CREATE UNIQUE INDEX received_track ON received (track) WITH (fillfactor = 100);
-- The deadline of its edge, as shared/platform/timers/schema.sql finds it.
CREATE INDEX received_deadline ON received (edge_id);
CREATE INDEX received_known ON received (known_as, party) WHERE known_as IS NOT NULL;
CREATE INDEX received_due ON received (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX received_overdue ON received (party, overdue_at, edge_id)
    WHERE overdue_at IS NOT NULL AND late_at IS NOT NULL;
CREATE INDEX received_ending ON received (party, overdue_at, edge_id) WHERE overdue_at IS NOT NULL AND late_at IS NULL;
CREATE INDEX received_failed ON received (edge_id) WHERE failure_code IS NOT NULL;
-- An act updates the row and must not write its ciphertext again. Ciphertext cannot be compressed.
-- The list of a party: all rows, those in a state, those of a sender, those with a child at risk. An index has no free
-- space where rows come in its order.
CREATE INDEX received_by_place ON received (party, sort_key, subject) WITH (fillfactor = 100);
CREATE INDEX received_by_state ON received (party, state, sort_key, subject) WITH (fillfactor = 100);
CREATE INDEX received_by_sender ON received (party, sender, sort_key, subject, state) WITH (fillfactor = 100);
CREATE INDEX received_at_risk ON received (party, sort_key, subject, state) WHERE priority = 'p0_child_at_risk';
-- Open rows with a child at risk: their places are at least `AT_RISK` (shared/features/received/store/listing.py).
CREATE INDEX received_open_at_risk ON received (party, sender, sort_key, subject) WHERE sort_key >= 4611686018427387904;
-- Work items are led by open notices, in the order of their places.
CREATE INDEX received_open_notice ON received (party, sort_key, subject)
    WHERE kind = 'notice' AND state IN ('acknowledged', 'in_part', 'issued', 'reappeared');
CREATE INDEX received_proof ON received (proof_id) WHERE proof_id IS NOT NULL;
CREATE INDEX received_by_reference ON received (party, reference_token, subject) WHERE reference_token IS NOT NULL;
-- Cases that were passed on to another agency and have come back.
CREATE INDEX received_came_back ON received (party, changed_at) WHERE answers ? 'stands';
-- Rows that retention still has to check, by class and time.
CREATE INDEX received_kept ON received (retention, received_at) WITH (fillfactor = 100) WHERE wrapped_key IS NOT NULL;
-- Withdrawn rows that wait for an answer, and rows that are kept until a day.
CREATE INDEX received_withdrawn ON received (changed_at) WHERE state = 'withdrawn';
CREATE INDEX received_kept_until ON received ((answers #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND answers #>> '{fate}' = 'kept';

-- Further rows of cases: edges for further purposes, and earlier revisions of accepted cases. Rows are added; only
-- erasure changes them.
CREATE TABLE received_edge (
    subject uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    edge_id uuid,
    revision integer NOT NULL,
    party text NOT NULL,
    purpose text NOT NULL,
    retention text NOT NULL,
    wrapped_key bytea,
    proof_id uuid,
    edge bytea NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (subject, party, purpose, revision),
    CONSTRAINT received_edge_record_bound CHECK (octet_length(record) <= 131072)
    -- Rows that hold ciphertext stay whole up to a page.
) WITH (toast_tuple_target = 8160);
CREATE INDEX received_edge_proof ON received_edge (proof_id) WHERE proof_id IS NOT NULL;
CREATE INDEX received_edge_kept ON received_edge (retention, received_at) WHERE wrapped_key IS NOT NULL;

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'received, received_edge');
-- A row is judged by the permissions of its kind, and by its state where it changes.
SELECT pg_temp.isolate_by_state('received');
SELECT pg_temp.isolate('received_edge', 'case', added => 'submit apply', changed => 'acts');
SELECT pg_temp.let_count('received', 'subject, party, sender, kind, state, edge_id, edge_revision, act_count');
SELECT pg_temp.let_count('received_edge', 'subject, party, purpose, edge_id, revision');

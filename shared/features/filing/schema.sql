-- The tables of an origin. A writer of these tables can misstate what this origin filed, but not what others received.
-- Other roles keep the recipients' inboxes and audit's copy of Kafka.

CREATE TABLE referral (
    referral_id uuid PRIMARY KEY WITH (fillfactor = 100),
    -- The number of the filing act in the party's feed. Lists are ordered by it.
    arrival bigint NOT NULL,
    accepted_at timestamptz NOT NULL,
    party text NOT NULL,
    external_ref text NOT NULL,
    -- The current revision; its cause and time if it is not the first; and the highest number that any of its items
    -- ever had.
    revision integer NOT NULL,
    cause text NOT NULL DEFAULT 'filed',
    amended_at timestamptz,
    last_item_number smallint,
    exercise boolean NOT NULL,
    disposition text NOT NULL,
    state text NOT NULL,
    unrouted_reason text,
    -- The hash of the posted bytes, as the signed acceptance states it.
    body_sha256 bytea NOT NULL,
    priority text NOT NULL,
    -- The facts and the decision, as stored text (shared/platform/database/stored_text.py).
    decided bytea NOT NULL,
    content bytea NOT NULL,
    -- The key of the content and of earlier revisions. NULL after erasure.
    wrapped_key bytea,
    -- The trace that caused it: the digits of its `traceparent` (W3C Trace Context §3.2).
    traceparent bytea,
    withdrawn_at timestamptz,
    withdrawn_reason text,
    -- For a referral that needed a second person: the person that filed it, and the person that released or dropped it.
    filed_by text,
    reviewed_by text,
    -- 0 if a child is at risk, else 1. Attention items are ordered by rank, then oldest first.
    priority_rank smallint NOT NULL
        GENERATED ALWAYS AS (CASE WHEN priority = 'p0_child_at_risk' THEN 0 ELSE 1 END) STORED,
    -- The reference comes first, so that the planner never uses this index for the party alone, even on an empty table.
    CONSTRAINT referral_external_ref UNIQUE (external_ref, party),
    CONSTRAINT referral_cause CHECK (cause IN ('filed', 'amended', 'rerouted')),
    CONSTRAINT referral_state CHECK (state IN (
        'routed', 'unroutable', 'orphaned', 'unknown_code', 'unreleased', 'dropped', 'transferred', 'withdrawn')),
    CONSTRAINT referral_unreleased CHECK (state <> 'unreleased' OR filed_by IS NOT NULL),
    CONSTRAINT referral_external_ref_alphabet CHECK (external_ref ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$'),
    CONSTRAINT referral_content_bound CHECK (octet_length(content) <= 33000)
) WITH (toast_tuple_target = 512);
-- Ciphertext is stored out of line: updates of a row at numbering and at each act do not rewrite it. Compression would
-- only cost CPU time.
ALTER TABLE referral
    ALTER COLUMN content SET STORAGE EXTERNAL,
    ALTER COLUMN decided SET STORAGE MAIN;
-- A party's referrals: all, by state, priority, period. An index has no free space where rows come in its order.
CREATE INDEX referral_by_arrival ON referral (party, arrival) WITH (fillfactor = 100);
CREATE INDEX referral_by_state ON referral (party, state, arrival) WITH (fillfactor = 100);
CREATE INDEX referral_at_risk ON referral (party, arrival) WHERE priority_rank = 0;
CREATE INDEX referral_at_risk_by_state ON referral (party, state, arrival) WHERE priority_rank = 0;
CREATE INDEX referral_by_time ON referral (party, accepted_at) WITH (fillfactor = 100);
-- Referrals that retention still has to examine.
CREATE INDEX referral_kept ON referral (referral_id) WITH (fillfactor = 100) WHERE wrapped_key IS NOT NULL;
CREATE INDEX referral_unreleased ON referral (accepted_at) WHERE state = 'unreleased';
CREATE INDEX referral_unfinished ON referral (referral_id) WHERE unrouted_reason IN ('deferred', 'waiting', 'parked');
-- Unrouted referrals, all and by reason.
CREATE INDEX referral_work ON referral (party, arrival) WHERE unrouted_reason IS NOT NULL AND state <> 'withdrawn';
CREATE INDEX referral_work_by_reason ON referral (party, unrouted_reason, arrival)
    WHERE unrouted_reason IS NOT NULL AND state <> 'withdrawn';
-- Referrals that need a person for a reason of the referral itself, not of one edge. Written so that the planner does
-- not use this index for queries of one reason.
CREATE INDEX referral_attention ON referral (party, priority_rank, accepted_at, referral_id)
    WHERE unrouted_reason IS NOT NULL AND state <> 'withdrawn'
      AND unrouted_reason || '' NOT IN ('deferred', 'waiting', 'parked', 'recipient_cannot_read');

-- Assign feed numbers to filings, in the statement that stores them. The feeds are locked in the order of the parties.
-- Only a filing with a free reference gets a number. No other transaction of the party files before this commit.
CREATE FUNCTION number_filings(ids uuid[], parties text[], references_given text[])
RETURNS TABLE (filing uuid, number bigint) LANGUAGE plpgsql AS $$
DECLARE
    of_party text;
    before bigint;
    counted bigint;
BEGIN
    FOR of_party IN SELECT DISTINCT p FROM unnest(parties) AS p ORDER BY p LOOP
        SELECT last_number INTO before FROM feed WHERE party = of_party FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO feed AS f (party, last_number) VALUES (of_party, 0)
            ON CONFLICT (party) DO UPDATE SET last_number = f.last_number RETURNING last_number INTO before;
        END IF;
        RETURN QUERY
            SELECT given.id, before + row_number() OVER (ORDER BY given.place)
            FROM (
                SELECT DISTINCT ON (a.ref) a.id, a.ref, a.place
                FROM unnest(ids, parties, references_given) WITH ORDINALITY AS a (id, party, ref, place)
                WHERE a.party = of_party ORDER BY a.ref, a.place
            ) AS given
            -- OFFSET 0 forces one look-up per reference. COALESCE excludes indexes on the party: the plan is made for
            -- an empty table, where such an index would seem equally cheap.
            WHERE NOT EXISTS (
                SELECT FROM referral AS r
                WHERE r.external_ref = given.ref AND coalesce(r.party, '') = of_party OFFSET 0
            );
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted > 0 THEN
            UPDATE feed SET last_number = before + counted WHERE party = of_party;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION number_filings FROM PUBLIC;

-- Earlier revisions of amended referrals, under the key of the record, so that erasing the record erases them. A writer
-- of this table can misstate earlier content, but not what was sent: audit has the decisions of all revisions.
CREATE TABLE referral_revision (
    referral_id uuid NOT NULL,
    revision integer NOT NULL,
    party text NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL,
    body_sha256 bytea NOT NULL,
    priority text NOT NULL,
    decided bytea NOT NULL,
    content bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (referral_id, revision),
    CONSTRAINT referral_revision_content_bound CHECK (octet_length(content) <= 33000)
) WITH (toast_tuple_target = 512);

-- The first edge of a subject and recipient is also the row of their track (shared/delivery/tracks.sql). Each
-- edge is the row of its deadline (shared/platform/timers/schema.sql).
CREATE TABLE edge (
    edge_id uuid PRIMARY KEY,
    -- The time of the decision, and the number of stale refusals.
    decided_at timestamptz NOT NULL,
    redecide_attempts smallint NOT NULL DEFAULT 0,
    -- The place of its message in the stream to `instance`.
    lane smallint,
    number bigint,
    incarnation uuid,
    -- The revision that the recipient was sent last; a notice has its own numbers.
    revision integer NOT NULL DEFAULT 1,
    -- The number of the newest answer in its recipient's track.
    acts integer NOT NULL DEFAULT 0,
    -- The number of answers that the carrying message includes.
    acts_notified integer NOT NULL DEFAULT 0,
    -- The message that carries the edge. NULL if the edge waits or is planned, and for the edge of an agency that
    -- another agency has referred the case to (`referred`).
    message_id uuid UNIQUE,
    -- The recipient's present instance, and, if there are any, its earlier instances and the edge's earlier messages.
    instance text NOT NULL,
    previous_instances text[],
    previous_message_ids uuid[],
    referral_id uuid NOT NULL,
    notice_id uuid,
    -- The origin's own numbers of the notice's items; the first is item 1 of the notice. And the numbers of removed
    -- items, if there are any.
    items smallint[] NOT NULL DEFAULT '{}',
    dropped_items smallint[],
    party text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    reason text NOT NULL,
    -- NULL: those of its deadline.
    rules text[],
    state text NOT NULL DEFAULT 'emitted',
    answer text NOT NULL DEFAULT 'none',
    answer_detail jsonb,
    answered_at timestamptz,
    -- For a moved recipient: the answers that its present instance was sent, until that instance answers.
    sent_answers jsonb,
    -- The message that withdrew the edge, one for all edges to a recipient of referrals; its number in the urgent
    -- stream to `instance`; and its last outcome unless it was applied.
    withdrawal_id uuid,
    withdrawal_incarnation uuid,
    withdrawal_number bigint,
    withdrawal_receipt text,
    -- The documents of the decision, and the time of the next one.
    document_digests text NOT NULL,
    redecide_at timestamptz,
    -- For a planned notice, which agencies may hold: the end of its window, and the slot in which it will be sent.
    hold_window_ends_at timestamptz,
    issue_due_at timestamptz,
    -- The instance of the recipient lacks all or part of the edge, so it is sent again.
    is_missing boolean NOT NULL DEFAULT false,
    -- The last time that it was sent again for that reason: not once more within an hour.
    repeated_at timestamptz,
    -- The edge was to be sent again, and its recipient could not read it. It is sent once the recipient can.
    is_unreadable boolean NOT NULL DEFAULT false,
    -- Earlier instances of the recipient that have the edge but not its withdrawal. The withdrawal is sent there again.
    unnotified_instances text[],
    -- The rank of the referral, and whether the edge or the referral was withdrawn.
    priority_rank smallint NOT NULL DEFAULT 1,
    is_retracted boolean NOT NULL DEFAULT false,
    -- The last outcome of its message unless that was applied, its code, and the time of the first one.
    receipt_outcome text,
    receipt_code text,
    receipted_at timestamptz,
    -- The time since when the edge needs a person, or NULL. It is derived from this row alone, so that every writer
    -- updates it.
    attention_since timestamptz GENERATED ALWAYS AS (
        CASE WHEN is_retracted OR state NOT IN ('emitted', 'waiting', 'referred') THEN NULL
             WHEN state = 'waiting' OR is_unreadable THEN decided_at
             -- A moved edge is sent again, and a decision by a lapsed law is made again.
             WHEN receipt_outcome <> 'moved' AND coalesce(receipt_code, '') NOT IN ('decision_time_off',
             'document_lapsed') THEN receipted_at
             WHEN answer IN ('declined', 'rejected', 'not_ours', 'reappeared') THEN answered_at
             WHEN priority_rank = 0 AND answer IN ('none', 'acknowledged', 'in_part', 'accepted', 'ongoing')
             THEN decided_at END) STORED,
    CONSTRAINT edge_state CHECK (
        state IN ('emitted', 'waiting', 'planned', 'referred', 'superseded', 'dropped')),
    CONSTRAINT edge_waiting CHECK ((state IN ('waiting', 'planned')) <= (message_id IS NULL)),
    CONSTRAINT edge_referred CHECK ((state = 'referred') <= (message_id IS NULL)),
    CONSTRAINT edge_planned CHECK ((state = 'planned') <= (hold_window_ends_at IS NOT NULL AND issue_due_at IS NOT NULL))
) INHERITS (track, deadline);
ALTER TABLE edge ALTER peer SET DEFAULT '', ALTER side SET DEFAULT 2,
    ALTER track SET DEFAULT '00000000-0000-0000-0000-000000000000';
CREATE INDEX edge_track ON edge (track) WITH (fillfactor = 100);
CREATE INDEX edge_subject ON edge (subject) WITH (fillfactor = 100) WHERE subject IS NOT NULL;
CREATE INDEX edge_known ON edge (known_as, party) WHERE known_as IS NOT NULL;
CREATE INDEX edge_due ON edge (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX edge_overdue ON edge (party, overdue_at, edge_id) WHERE overdue_at IS NOT NULL AND late_at IS NOT NULL;
CREATE INDEX edge_ending ON edge (party, overdue_at, edge_id) WHERE overdue_at IS NOT NULL AND late_at IS NULL;
CREATE INDEX edge_failed ON edge (edge_id) WHERE failure_code IS NOT NULL;
CREATE INDEX edge_of_referral ON edge (referral_id) WITH (fillfactor = 100);
CREATE UNIQUE INDEX edge_notice ON edge (notice_id) WHERE notice_id IS NOT NULL;
-- Edges that move with their recipient. All others stay at their instance.
CREATE INDEX edge_at ON edge (recipient, instance)
    WHERE state = 'emitted' AND NOT is_unreadable AND NOT is_retracted
      AND answer IN ('accepted', 'acknowledged', 'in_part', 'none', 'ongoing', 'reappeared');
CREATE INDEX edge_sent ON edge (party, recipient, referral_id) WITH (fillfactor = 100);
CREATE INDEX edge_attention ON edge (party, priority_rank, attention_since, edge_id) WHERE attention_since IS NOT NULL;
-- Cases that were returned to the agency that had referred them.
CREATE INDEX edge_came_back ON edge (party, priority_rank, answered_at) WHERE answer_detail ? 'stands';
CREATE INDEX edge_waiting ON edge (edge_id) WHERE state = 'waiting';
CREATE INDEX edge_planned ON edge (issue_due_at) WHERE state = 'planned';
CREATE INDEX edge_planned_of ON edge (referral_id) WHERE state = 'planned';
CREATE INDEX edge_again ON edge (redecide_at) WHERE redecide_at IS NOT NULL;
CREATE INDEX edge_missing ON edge (referral_id) WHERE is_missing OR unnotified_instances IS NOT NULL;
CREATE INDEX edge_unread ON edge (edge_id) WHERE is_unreadable;
CREATE INDEX edge_withdrawal ON edge (withdrawal_id) WHERE withdrawal_id IS NOT NULL;

-- The first result of each act of a recipient. A repetition gets the same result and changes no edge. For an applied
-- act, its content, the new answer and the time: a timeline without updates. A writer of this table can keep an answer
-- from changing its edge, or let it change the edge twice.
CREATE TABLE answer_act (
    subject uuid NOT NULL,
    sender text NOT NULL,
    act uuid NOT NULL,
    -- The code of a refusal; NULL if the act was applied.
    code text,
    number integer,
    answer text,
    details jsonb,
    -- Statistics of the content: the outcome for the child, and the number of items that were already gone.
    child_identified text GENERATED ALWAYS AS (details ->> 'child_identified') STORED,
    child_safeguarded text GENERATED ALWAYS AS (details ->> 'child_safeguarded') STORED,
    already_gone smallint GENERATED ALWAYS AS (
        jsonb_array_length(jsonb_path_query_array(details, '$.items[*] ? (@.action == "already_gone")'))) STORED,
    -- Items that a provider states it removed, and the origin's recheck results: item numbers, codes and times. A
    -- recheck is an act on the notice with the origin as sender and no answer.
    removals jsonb GENERATED ALWAYS AS (
        jsonb_path_query_array(details, '$.items[*] ? (@.action == "removed")')) STORED,
    recheck_results jsonb GENERATED ALWAYS AS (CASE WHEN answer IS NULL THEN details -> 'checked' END) STORED,
    -- The agency's own reference of its case, for this origin alone, under the key of the referral's record.
    case_reference bytea,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, sender, act),
    CONSTRAINT answer_act_details_bound CHECK (octet_length(details::text) <= 16384),
    CONSTRAINT answer_act_reference_bound CHECK (octet_length(case_reference) <= 128)
);

-- Agencies' requests to this origin to delay the notices of a referral. The id is that of the act that placed the hold.
-- A writer of this table can have a held notice sent, or delay one without a hold. The agency gets a message in either
-- case.
CREATE TABLE hold (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    placed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL,
    ended_at timestamptz,
    exercise boolean NOT NULL,
    -- The rank of the referral, for attention items.
    priority_rank smallint NOT NULL,
    PRIMARY KEY (referral_id, agency, hold_id),
    CONSTRAINT hold_state CHECK (
        state IN ('active', 'too_late', 'released', 'expired', 'overridden', 'lapsed')),
    CONSTRAINT hold_ended CHECK ((state IN ('active', 'too_late')) = (ended_at IS NULL))
);
CREATE INDEX hold_active ON hold (referral_id) WHERE state = 'active';
CREATE INDEX hold_expired ON hold (party, priority_rank, ended_at, hold_id) WHERE state = 'expired';

-- The acts of a hold, never updated. An override needs two, by different actors.
CREATE TABLE hold_act (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    act text NOT NULL,
    at timestamptz NOT NULL,
    expires_at timestamptz,
    basis text,
    actor text,
    -- The order of the acts.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CONSTRAINT hold_act_kind CHECK (act IN (
        'placed', 'too_late', 'extended', 'released', 'expired', 'lapsed', 'override_proposed', 'overridden'))
);
CREATE INDEX hold_act_of ON hold_act (referral_id, agency, hold_id);

-- The agencies that have stated that they do not hold the referral.
CREATE TABLE no_objection (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    party text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, agency)
);

-- The hotlines that may claim a referral, with the time and reason, and the time of the claim. A writer of this table
-- can let a hotline claim a referral that it has but was not asked to take over.
CREATE TABLE transfer (
    referral_id uuid NOT NULL,
    recipient text NOT NULL,
    party text NOT NULL,
    reason text NOT NULL,
    offered_at timestamptz NOT NULL,
    claimed_at timestamptz,
    PRIMARY KEY (referral_id, recipient)
);
-- At most one hotline has claimed it, in every case.
CREATE UNIQUE INDEX transfer_claimed ON transfer (referral_id) WHERE claimed_at IS NOT NULL;
CREATE INDEX transfer_unclaimed ON transfer (party, offered_at) WHERE claimed_at IS NULL;

-- A party's own referrals that name the same location. A separate step makes and compares the tokens after each
-- referral was answered. `location_token_position` is its position in the party's feed, for each version of the form. A
-- writer of these tables can hide or invent links; the messages sent do not depend on them.

CREATE TABLE location_token (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (referral_id, n, version) WITH (fillfactor = 100)
);
-- A token belongs to one party and one version.
CREATE INDEX location_token_of ON location_token (token, referral_id);

CREATE TABLE referral_relation (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    other_referral_id uuid NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, referral_id, other_referral_id, kind)
);
CREATE INDEX referral_relation_of ON referral_relation (party, other_referral_id);

CREATE TABLE location_token_position (
    party text NOT NULL,
    version integer NOT NULL,
    arrival bigint NOT NULL,
    PRIMARY KEY (party, version)
);

-- Contact suggestions between agencies that have accepted the same referral or location.

-- Submissions of each party: the first side of accounting equation (I). Counted in the transaction that files.
CREATE TABLE intake_count (
    party text PRIMARY KEY,
    submitted bigint NOT NULL,
    accepted bigint NOT NULL,
    refused bigint NOT NULL
) WITH (fillfactor = 50);

-- Alarms about a party, one for each kind and day. `name` is the party's name in the log. A writer of this table can
-- suppress an alarm.
CREATE TABLE alarm (
    party text NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, kind, day),
    CONSTRAINT alarm_kind CHECK (
        kind IN ('refused', 'day_filled', 'dearer', 'long_fields', 'tripwire', 'urgent_waits'))
);

-- The permissions of the service. A row without a policy for updates or deletes stays unchanged.
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE',
    'referral, referral_revision, edge, answer_act, hold, hold_act, no_objection, transfer, location_token,
     referral_relation, intake_count, alarm');
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'location_token_position');
SELECT pg_temp.grant_service('EXECUTE', 'FUNCTION number_filings');

SELECT pg_temp.isolate_by_state('referral', 'referral');
-- Earlier revisions are never changed or deleted.
SELECT pg_temp.isolate('referral_revision', 'referral', added => 'amend reroute');
SELECT pg_temp.isolate('edge', 'referral', added => 'submit release amend reroute apply', changed => 'acts');
SELECT pg_temp.isolate('hold', 'referral', added => 'acts', changed => 'acts');
SELECT pg_temp.isolate('hold_act', 'referral', added => 'acts');
SELECT pg_temp.isolate('no_objection', 'referral', added => 'acts', removed => 'acts');
SELECT pg_temp.isolate('transfer', 'referral', added => 'transfer', changed => 'transfer apply');
SELECT pg_temp.isolate('location_token', 'referral', added => 'apply', removed => 'acts');
SELECT pg_temp.isolate('referral_relation', 'referral', added => 'apply');

SELECT pg_temp.grant_accountant('SELECT', 'intake_count');
SELECT pg_temp.let_count('referral', 'referral_id, party, exercise, disposition, state, unrouted_reason, accepted_at');
SELECT pg_temp.let_count('edge',
    'edge_id, message_id, previous_message_ids, referral_id, notice_id, party, recipient, purpose, state, answer,
     decided_at, instance, incarnation, lane, number, receipt_outcome, receipt_code, revision, acts');
SELECT pg_temp.grant_accountant(
    'SELECT (subject, sender, act, number, code, answer, child_identified, child_safeguarded, already_gone, removals,
    recheck_results, at)', 'answer_act');
SELECT pg_temp.let_count('hold', 'referral_id, placed_at, state'), pg_temp.let_count('deadline', 'edge_id, party, started_at');

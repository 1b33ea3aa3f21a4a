-- What every instance has, the origin's and the providers' own, isolated by party, role, action and state.
-- Written out here on purpose: what a revision makes must not change with the code, and the database's copy of the
-- permissions must not be derived from the other. Role names follow the database's.
DO $migration$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN

-- The tables that every instance has.

-- The tables of messaging: own streams, the streams of other instances, exceptions, resync and the operator's list
-- (`shared/messaging/schema.sql`). A row belongs to the instance, never to one party. The comment on a table is its
-- retention rule. A process with the service's role can lose or repeat this instance's own messages here. It cannot forge
-- another instance's; audit's copies and the tables of the other instance show either (`causeway audit reconcile`).

-- Both own streams to a peer, without the lanes. A send does not touch this row.
CREATE TABLE stream_pair (
    peer text PRIMARY KEY,
    incarnation uuid NOT NULL,
    is_audited boolean NOT NULL,
    probe_pause_s integer NOT NULL,
    probe_nonce uuid,
    probe_sent_at timestamptz,
    probe_urgent_last bigint,
    probe_ordinary_last bigint,
    probe_urgent_acked bigint,
    probe_ordinary_acked bigint,
    probe_urgent_audit_acked bigint,
    probe_ordinary_audit_acked bigint,
    awaited_at timestamptz,
    resync_nonce uuid,
    recipient_opened_at timestamptz,
    audit_opened_at timestamptz,
    recipient_heard_at timestamptz,
    audit_heard_at timestamptz,
    is_limited boolean NOT NULL,
    source_count bigint NOT NULL
) WITH (fillfactor = 30);
COMMENT ON TABLE stream_pair IS 'Retention: one row a peer, as long as the peer is in the directory.';

-- One own stream. A send locks this row, in the order of peer and lane, and holds it until the commit.
CREATE TABLE stream (
    peer text NOT NULL,
    lane smallint NOT NULL,
    incarnation uuid NOT NULL,
    last bigint NOT NULL,
    chain bytea NOT NULL,
    sent bigint NOT NULL,
    moved_at timestamptz NOT NULL,
    acked bigint NOT NULL,
    audit_acked bigint NOT NULL,
    kept_above bigint NOT NULL,
    kept_chain bytea NOT NULL,
    is_full boolean NOT NULL,
    returned_to bigint,
    returned_at timestamptz,
    copy_above bigint,
    p0_last bigint NOT NULL,
    PRIMARY KEY (peer, lane)
) WITH (fillfactor = 30);
COMMENT ON TABLE stream IS 'Retention: two rows a peer, as long as the peer is in the directory.';

-- Former incarnations of a pair while their messages are carried into the present one, in this order.
CREATE TABLE stream_source (
    peer text NOT NULL,
    position bigint NOT NULL,
    incarnation uuid NOT NULL,
    urgent_carried bigint NOT NULL,
    urgent_last bigint NOT NULL,
    urgent_chain bytea NOT NULL,
    urgent_p0_last bigint NOT NULL,
    ordinary_carried bigint NOT NULL,
    ordinary_last bigint NOT NULL,
    ordinary_chain bytea NOT NULL,
    ordinary_p0_last bigint NOT NULL,
    PRIMARY KEY (peer, position)
);
COMMENT ON TABLE stream_source IS 'Retention: until all its messages are carried.';

-- The messages that one transaction sends in one stream (shared/messaging/segment_bytes.py), without their place in
-- Kafka. Sealed bytes cannot be compressed. The chain is computed from `digests`, without reading `content`.
CREATE TABLE segment (
    day date NOT NULL,
    peer text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    chain_before bytea NOT NULL,
    message_ids bytea NOT NULL,
    digests bytea NOT NULL,
    proof bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (peer, incarnation, lane, first, day)
) PARTITION BY LIST (day);
ALTER TABLE segment
    ALTER COLUMN message_ids SET STORAGE EXTERNAL,
    ALTER COLUMN digests SET STORAGE EXTERNAL,
    ALTER COLUMN proof SET STORAGE EXTERNAL,
    ALTER COLUMN content SET STORAGE EXTERNAL;
-- Days whose partition was not made ahead.
CREATE TABLE segment_rest PARTITION OF segment DEFAULT;
COMMENT ON TABLE segment IS 'Retention: until the recipient and audit have acknowledged all of its day, and the '
    'operator''s window has passed; then the partition of the day is dropped.';

-- Both streams of one pair of instances, as they were read here. `revision` counts the saves.
CREATE TABLE receive_state (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid,
    urgent_chain bytea NOT NULL,
    urgent_through bigint NOT NULL,
    urgent_topic_id uuid,
    urgent_next_offset bigint NOT NULL,
    urgent_is_stopped boolean NOT NULL,
    urgent_has_gap boolean NOT NULL,
    ordinary_chain bytea NOT NULL,
    ordinary_through bigint NOT NULL,
    ordinary_topic_id uuid,
    ordinary_next_offset bigint NOT NULL,
    ordinary_is_stopped boolean NOT NULL,
    ordinary_has_gap boolean NOT NULL,
    dropped_closed uuid,
    missed uuid,
    owes_ack boolean NOT NULL,
    is_urgent boolean NOT NULL,
    echo uuid,
    acked_at timestamptz,
    entered_since timestamptz,
    entered_count bigint NOT NULL,
    closed_count bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (writer, addressee)
) WITH (fillfactor = 30);
COMMENT ON TABLE receive_state IS 'Retention: one row a pair, as long as its writer is in the directory.';

-- Earlier incarnations of a pair. Where the pair was read here, the ends at which it was closed.
CREATE TABLE incarnation (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid NOT NULL,
    urgent_through bigint,
    urgent_chain bytea,
    ordinary_through bigint,
    ordinary_chain bytea,
    closed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (writer, addressee, incarnation)
);
COMMENT ON TABLE incarnation IS 'Retention: one row a restore, as long as its writer is in the directory.';

-- Messages of others that were taken and are not applied. `record` is tried again; a dead letter only by a person.
CREATE TABLE exception (
    message_id uuid NOT NULL,
    writer text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    number bigint NOT NULL,
    chain bytea NOT NULL,
    role text NOT NULL,
    kind text NOT NULL,
    subject uuid,
    revision bigint,
    content bytea,
    acts uuid[] NOT NULL,
    after uuid,
    outcome text NOT NULL,
    code text,
    held bigint,
    record bytea NOT NULL,
    record_bytes integer NOT NULL GENERATED ALWAYS AS (octet_length(record)) STORED,
    topic_id uuid,
    "offset" bigint NOT NULL,
    broker_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (writer, message_id)
) WITH (fillfactor = 90);
ALTER TABLE exception ALTER COLUMN record SET STORAGE EXTERNAL;
-- A stream's exceptions are counted and measured in the index alone.
CREATE INDEX exception_stream ON exception (writer, lane) INCLUDE (record_bytes);
CREATE INDEX exception_subject ON exception (subject);
CREATE INDEX exception_age ON exception (opened_at, message_id);
COMMENT ON TABLE exception IS 'Retention: until the message is applied or refused, or its subject is erased.';

-- Own messages that a peer holds as exceptions.
CREATE TABLE outcome_open (
    peer text NOT NULL,
    message_id uuid NOT NULL,
    outcome text NOT NULL,
    code text,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (peer, message_id)
) WITH (fillfactor = 90);
COMMENT ON TABLE outcome_open IS 'Retention: until the peer reports the end of the exception.';

-- The resync requests of a peer: the one without an answer, and the answered one that may still ask for rows. How far
-- the peer's answer to the latest own request was taken, and how many subjects were sent again to it in an hour.
CREATE TABLE resync_state (
    peer text PRIMARY KEY,
    nonce uuid,
    is_first boolean NOT NULL,
    answered_at timestamptz,
    rows_nonce uuid,
    taken_nonce uuid,
    taken_through text NOT NULL,
    sent_since timestamptz,
    sent_count bigint NOT NULL
) WITH (fillfactor = 30);
COMMENT ON TABLE resync_state IS 'Retention: one row a peer, as long as the peer is in the directory.';

-- What a person must look at: each line once.
CREATE TABLE operator_line (
    line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    peer text NOT NULL,
    subject uuid,
    act uuid,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    closed_by text,
    CONSTRAINT operator_line_once UNIQUE NULLS NOT DISTINCT (kind, peer, subject, act)
);
COMMENT ON TABLE operator_line IS 'Retention: a year after a person closed it.';

-- The content proof of a received segment: leaves and signatures, for the records of it that are kept here.
CREATE TABLE proof (
    writer text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    packed bytea NOT NULL,
    PRIMARY KEY (writer, incarnation, lane, first)
);
ALTER TABLE proof ALTER COLUMN packed SET STORAGE EXTERNAL;
COMMENT ON TABLE proof IS 'Retention: until the last record of its segment goes.';

-- Accounting, own streams: numbered = taken + in flight. Of the taken messages, the peer holds the open ones.
CREATE VIEW stream_account AS
SELECT s.peer, s.lane, s.incarnation, s.last AS numbered, s.chain, s.acked AS taken, s.last - s.acked AS in_flight,
       s.audit_acked AS taken_by_audit, s.kept_above AS dropped
FROM stream AS s;
CREATE VIEW outcome_account AS SELECT peer, message_id, outcome, code FROM outcome_open;

-- Accounting, streams read here: taken = exceptions + settled (applied, refused or moved). Closed incarnations end
-- where they were left.
CREATE VIEW receive_account AS
SELECT r.writer, r.addressee, lanes.lane, r.incarnation, lanes.taken, lanes.chain
FROM receive_state AS r
CROSS JOIN LATERAL (
    VALUES (0::smallint, r.urgent_through, r.urgent_chain), (1::smallint, r.ordinary_through, r.ordinary_chain)
) AS lanes (lane, taken, chain)
WHERE r.incarnation IS NOT NULL;
CREATE VIEW closed_account AS
SELECT i.writer, i.addressee, lanes.lane, i.incarnation, lanes.taken, lanes.chain
FROM incarnation AS i
CROSS JOIN LATERAL (
    VALUES (0::smallint, i.urgent_through, i.urgent_chain), (1::smallint, i.ordinary_through, i.ordinary_chain)
) AS lanes (lane, taken, chain)
WHERE lanes.taken IS NOT NULL;
CREATE VIEW exception_account AS
SELECT writer, incarnation, lane, number, message_id, outcome, code FROM exception;

-- Make the partitions of these days. Segments that came before their partition move there.
-- The service calls it; only the owner can make tables.
CREATE FUNCTION make_segment_days(first_day date, day_count integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '5s' AS $function$
DECLARE
    made date;
    part text;
BEGIN
    FOR made IN SELECT first_day + n FROM generate_series(0, day_count - 1) AS n LOOP
        part := 'segment_' || to_char(made, 'YYYY_MM_DD');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        -- A segment of that day that is stored meanwhile waits for the partition.
        LOCK TABLE segment_rest IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE segment INCLUDING ALL)', part);
        EXECUTE format('WITH moved AS (DELETE FROM segment_rest WHERE day = %L RETURNING *)'
                       ' INSERT INTO %I SELECT * FROM moved', made, part);
        EXECUTE format('ALTER TABLE segment ATTACH PARTITION %I FOR VALUES IN (%L)', part, made);
    END LOOP;
END $function$;

-- Drop the segments of all days through this one. Call it in a transaction that holds no row of `stream`.
-- It refuses a day with a number that its stream still keeps, or that is being carried into a new incarnation.
CREATE FUNCTION drop_segment_days(last_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '5s' AS $function$
DECLARE
    part text;
BEGIN
    IF EXISTS (
        SELECT FROM stream AS t CROSS JOIN LATERAL (
            SELECT s.first + s.count - 1 AS last FROM segment AS s
            WHERE s.peer = t.peer AND s.incarnation = t.incarnation AND s.lane = t.lane AND s.day <= last_day
            ORDER BY s.first DESC LIMIT 1
        ) AS dropped WHERE dropped.last > t.kept_above
    ) OR EXISTS (
        SELECT FROM stream_source AS t JOIN segment AS s ON s.peer = t.peer AND s.incarnation = t.incarnation
        WHERE s.day <= last_day
    ) THEN
        RAISE EXCEPTION 'segments up to % are still kept', last_day;
    END IF;
    FOR part IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'segment'::regclass AND c.relname <> 'segment_rest'
          AND to_date(right(c.relname, 10), 'YYYY_MM_DD') <= last_day
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', part);
    END LOOP;
    DELETE FROM segment_rest WHERE day <= last_day;
END $function$;

REVOKE ALL ON FUNCTION make_segment_days, drop_segment_days FROM PUBLIC;

-- The tracks that are shared with peers (shared/messaging/tracks.py). A row belongs to the instance, never to one party.
-- `side`: 0 subjects of the peer held here, 1 answers of the peer on own subjects, 2 own subjects there, 3 own answers
-- there. `subject` is the key of the track, `item` the subject of its messages. A withdrawn subject is a tombstone.
-- `edges` of side 0: by id, the highest revision and the digest of its content. Other content needs a higher revision.
CREATE TABLE track (
    peer text NOT NULL,
    side smallint NOT NULL,
    subject uuid NOT NULL,
    item uuid NOT NULL,
    owner text NOT NULL,
    other text NOT NULL,
    acts uuid[] NOT NULL DEFAULT '{}',
    edges jsonb NOT NULL DEFAULT '{}',
    is_withdrawn boolean NOT NULL DEFAULT false,
    is_erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (peer, side, subject)
) WITH (fillfactor = 70);
CREATE INDEX track_item ON track (item);
COMMENT ON TABLE track IS 'Retention: 3,653 days from the day of its subject; after an erasure without its acts.';

-- The one process that does a task (`relay`, `reader`): its notes count only under the newest fence. The service's role
-- alone takes a lease.
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);

-- The newest statement of each peer about the messages that it can read. An older one changes nothing.
CREATE TABLE peer (
    instance text PRIMARY KEY,
    reads jsonb NOT NULL,
    reads_at timestamptz NOT NULL
);

CREATE TABLE document (
    digest text NOT NULL,
    kind text NOT NULL,
    active_from timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest, active_from),
    CONSTRAINT document_kind CHECK (kind IN ('directory', 'policy'))
);

-- How far the journal of erasures, a file beside the key-encryption key, is applied to this database: so many of its
-- lines, and the digest of the last of them. A restored database has an older place, and nothing is served from it
-- before the rest is applied. Whoever can write it can have erasures of a restored backup left out; the journal itself
-- lies elsewhere. Which database this was at the last start is noted, too: in another one, which was restored, nobody
-- is signed in.
CREATE TABLE erasure_place (
    one boolean PRIMARY KEY DEFAULT true,
    lines bigint NOT NULL,
    digest text NOT NULL,
    system_id bigint,
    timeline bigint,
    file bigint,
    CONSTRAINT erasure_place_one CHECK (one)
);
INSERT INTO erasure_place (lines, digest) VALUES (0, '');

-- What was erased, of whom. What comes again of it, from a log that is read anew after a restore, is erased as it comes.
-- `erased_at`: in this database; whether it was in time can be asked when its event is gone.
CREATE TABLE erased_record (
    subject uuid NOT NULL,
    party text NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, party)
);

-- API keys that were revoked, people whose role ended or changed: here until the running instance has them in the
-- journal of erasures, since the operator's verbs, which write them, may run where that file is not. Whoever can write
-- it can have anybody of the instance locked out of a restored database; whoever can empty it can have a key come back.
CREATE TABLE ending (
    kind text NOT NULL,
    subject uuid NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (kind, subject, party)
);

CREATE TABLE api_key (
    key_hash bytea PRIMARY KEY,
    party text NOT NULL,
    role text NOT NULL,
    -- Of whom an auditor sees anything: parties below these jurisdictions, and these. Nothing in both: everything.
    scope_jurisdictions text[],
    scope_parties text[],
    -- Whose a key is, where it is a person's: it acts as they do in the console, and ends with them.
    person text,
    revoked_at timestamptz,
    CONSTRAINT api_key_person CHECK (person ~ '^[0-9a-f]{32}$')
);

-- Who may open the console. Whoever can write these tables can act as anybody of this instance's parties, as with
-- api_key. Of links and sessions only the SHA-256 is kept: each is 256 random bits.

-- A person of a party, by an opaque name, and what they may be. Ended, they open nothing more.
CREATE TABLE console_person (
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    -- Of whom an auditor sees anything, as with api_key.
    scope_jurisdictions text[],
    scope_parties text[],
    ended_at timestamptz,
    -- What the party calls them, for the others of it; it leaves the instance in no message.
    called text,
    PRIMARY KEY (party, actor),
    CONSTRAINT console_person_actor CHECK (actor ~ '^[0-9a-f]{32}$'),
    CONSTRAINT console_person_called_bound CHECK (length(called) <= 60)
);

-- Who has opened a record here, for the people of its party: `actor` is the opaque name that audit is told, `reason` what
-- a person said. Whoever can write this table can hide a look from them, not from audit.
CREATE TABLE record_look (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject uuid NOT NULL,
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    reason text,
    at timestamptz NOT NULL
);
CREATE INDEX record_look_of ON record_look (party, subject, number);

-- A link that signs a person in once.
CREATE TABLE console_link (
    link_hash bytea PRIMARY KEY,
    party text NOT NULL,
    actor text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX console_link_by_age ON console_link (expires_at);

CREATE TABLE console_session (
    session_hash bytea PRIMARY KEY,
    party text NOT NULL,
    actor text NOT NULL,
    began_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    -- When their provider last had the session's person prove who they are; nothing where nobody says so.
    proven_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX console_session_by_age ON console_session (began_at);

CREATE TABLE idempotency (
    party text NOT NULL,
    key_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    status integer,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- The journal of acts: a row for each act that a party learns of, its own acts and those of others, numbered densely for
-- each party in the order of their commits. A process that can write these tables can hide from a party that something
-- happened. It cannot undo the act: the party's other tables show it.

-- By month: a month that is past its period is dropped. Rows of months without a partition are in the default one.
CREATE TABLE act (
    party text NOT NULL,
    number bigint NOT NULL,
    type text NOT NULL,
    subject uuid NOT NULL,
    at timestamptz NOT NULL,
    detail jsonb,
    CONSTRAINT act_detail_bound CHECK (octet_length(detail::text) <= 512)
) PARTITION BY RANGE (at);
CREATE TABLE act_default PARTITION OF act DEFAULT;
CREATE INDEX act_by_party ON act (party, number);
-- The timeline of one subject.
CREATE INDEX act_by_subject ON act (party, subject, number);

-- The last number of each party. A transaction locks the rows of its parties, in their order, when it adds to `act`.
CREATE TABLE feed (
    party text PRIMARY KEY,
    last bigint NOT NULL
);

-- One row. In another database (restored, or loaded elsewhere) the system id, the timeline or the file of `feed` differs:
-- then the next number begins a new epoch.
CREATE TABLE feed_epoch (
    one boolean PRIMARY KEY DEFAULT true,
    epoch uuid NOT NULL DEFAULT uuidv7(),
    system_id bigint,
    timeline bigint,
    file bigint,
    CONSTRAINT feed_epoch_one CHECK (one)
);
INSERT INTO feed_epoch DEFAULT VALUES;

-- The origin's. Whoever can write these tables can misstate what this origin filed, not what others received: the
-- recipients' inboxes and audit's reading of Kafka are kept elsewhere, by other roles.

CREATE TABLE referral (
    referral_id uuid PRIMARY KEY,
    party text NOT NULL,
    external_ref text NOT NULL,
    -- The revision that stands, how it came to be, and when, where it is not the first; and the highest number that any
    -- of its items ever had.
    revision integer NOT NULL,
    cause text NOT NULL DEFAULT 'filed',
    amended_at timestamptz,
    highest_n smallint,
    exercise boolean NOT NULL,
    disposition text NOT NULL,
    state text NOT NULL,
    work_reason text,
    -- The number of the act that began it, in the party's feed. Lists are ordered by it.
    arrival bigint NOT NULL,
    -- Of the bytes that were posted, as the signed acceptance states it.
    body_sha256 text NOT NULL,
    facts jsonb NOT NULL,
    decision jsonb NOT NULL,
    content bytea NOT NULL,
    -- Opens the content and that of the earlier revisions. NULL once the record is erased.
    wrapped_key bytea,
    traceparent text,
    accepted_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_reason text,
    -- Of what needed a second person: who filed it, and who released it or dropped it.
    filed_by text,
    reviewed_by text,
    -- 0 where a child is at risk, else 1: in this order, and the oldest first, is listed what needs a person.
    rank smallint NOT NULL
        GENERATED ALWAYS AS (CASE WHEN facts ->> 'priority' = 'p0_child_at_risk' THEN 0 ELSE 1 END) STORED,
    -- The reference comes first: an index on the party alone is no way to find one, however empty the table is.
    CONSTRAINT referral_external_ref UNIQUE (external_ref, party),
    CONSTRAINT referral_cause CHECK (cause IN ('filed', 'amended', 'rerouted')),
    CONSTRAINT referral_state CHECK (state IN (
        'routed', 'unroutable', 'orphaned', 'unknown_code', 'unreleased', 'dropped', 'transferred', 'withdrawn')),
    CONSTRAINT referral_unreleased CHECK (state <> 'unreleased' OR filed_by IS NOT NULL),
    CONSTRAINT referral_external_ref_alphabet CHECK (external_ref ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$'),
    CONSTRAINT referral_content_bound CHECK (octet_length(content) <= 33000)
) WITH (toast_tuple_target = 512);
-- Ciphertext lies out of line: a row is changed when it is numbered and by each act, and this is not written again.
-- Trying to compress it would cost CPU time only.
ALTER TABLE referral
    ALTER COLUMN content SET STORAGE EXTERNAL,
    ALTER COLUMN facts SET STORAGE MAIN,
    ALTER COLUMN decision SET STORAGE MAIN;
-- The list, whole and by what it is looked through for: state, priority, period.
CREATE INDEX referral_by_arrival ON referral (party, arrival);
CREATE INDEX referral_by_state ON referral (party, state, arrival);
CREATE INDEX referral_at_risk ON referral (party, arrival) WHERE rank = 0;
CREATE INDEX referral_at_risk_by_state ON referral (party, state, arrival) WHERE rank = 0;
CREATE INDEX referral_by_time ON referral (party, accepted_at);
-- Referrals that retention still has to look at.
CREATE INDEX referral_kept ON referral (referral_id) WHERE wrapped_key IS NOT NULL;
CREATE INDEX referral_unreleased ON referral (accepted_at) WHERE state = 'unreleased';
CREATE INDEX referral_unfinished ON referral (referral_id) WHERE work_reason IN ('deferred', 'waiting', 'parked');
-- The work list, whole and by reason.
CREATE INDEX referral_work ON referral (party, arrival)
    WHERE work_reason IS NOT NULL AND state <> 'withdrawn';
CREATE INDEX referral_work_by_reason ON referral (party, work_reason, arrival)
    WHERE work_reason IS NOT NULL AND state <> 'withdrawn';
-- What needs a person and is not said of one edge. Written so that no look for one reason takes it for its own.
CREATE INDEX referral_attention ON referral (party, rank, accepted_at, referral_id)
    WHERE work_reason IS NOT NULL AND state <> 'withdrawn'
      AND work_reason || '' NOT IN ('deferred', 'waiting', 'parked', 'recipient_cannot_read');

-- Numbers of filings, in the statement that stores them: the feed of each party is locked in the order of the parties, and
-- only a filing whose reference is free counts. No other transaction of the party files before the commit of this one.
CREATE FUNCTION number_filings(ids uuid[], parties text[], references_given text[])
RETURNS TABLE (filing uuid, number bigint) LANGUAGE plpgsql AS $$
DECLARE
    of_party text;
    before bigint;
    counted bigint;
BEGIN
    FOR of_party IN SELECT DISTINCT p FROM unnest(parties) AS p ORDER BY p LOOP
        SELECT last INTO before FROM feed WHERE party = of_party FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO feed AS f (party, last) VALUES (of_party, 0)
            ON CONFLICT (party) DO UPDATE SET last = f.last RETURNING last INTO before;
        END IF;
        RETURN QUERY
            SELECT given.id, before + row_number() OVER (ORDER BY given.place)
            FROM (
                SELECT DISTINCT ON (a.ref) a.id, a.ref, a.place
                FROM unnest(ids, parties, references_given) WITH ORDINALITY AS a (id, party, ref, place)
                WHERE a.party = of_party ORDER BY a.ref, a.place
            ) AS given
            -- OFFSET 0 has each reference looked up. With COALESCE no index on the party serves: over an empty table,
            -- for which the plan is made, it would cost the same as the right one.
            WHERE NOT EXISTS (
                SELECT FROM referral AS r
                WHERE r.external_ref = given.ref AND coalesce(r.party, '') = of_party OFFSET 0
            );
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted > 0 THEN
            UPDATE feed SET last = before + counted WHERE party = of_party;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION number_filings FROM PUBLIC;

-- What a referral said before it was amended, under the key of its record: whoever erases that erases this too. Whoever
-- can write this table can misstate what was said before, not what was sent: audit has the decisions of all revisions.
CREATE TABLE referral_revision (
    referral_id uuid NOT NULL,
    revision integer NOT NULL,
    party text NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL,
    body_sha256 text NOT NULL,
    facts jsonb NOT NULL,
    decision jsonb NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (referral_id, revision),
    CONSTRAINT referral_revision_content_bound CHECK (octet_length(content) <= 33000)
) WITH (toast_tuple_target = 512);
ALTER TABLE referral_revision ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE edge (
    edge_id uuid PRIMARY KEY,
    -- The message that carries it. None while it waits or is planned; none of a case that one agency has passed on to
    -- another, which answers on it (`referred`).
    message_id uuid UNIQUE,
    -- The place of that message in the stream to `instance`.
    incarnation uuid,
    lane smallint,
    number bigint,
    -- Where it lies; where its recipient had it until it moved, and the messages that carried it before.
    instance text NOT NULL,
    instances_before text[] NOT NULL DEFAULT '{}',
    messages_before uuid[] NOT NULL DEFAULT '{}',
    referral_id uuid NOT NULL,
    -- The revision under which its recipient was sent it last, of a notice its own.
    revision integer NOT NULL DEFAULT 1,
    notice_id uuid,
    -- The origin's own numbers of the notice's items: the first is what the notice calls 1. And those of its items that
    -- it has no more.
    items smallint[] NOT NULL DEFAULT '{}',
    gone smallint[] NOT NULL DEFAULT '{}',
    party text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    reason text NOT NULL,
    rules text[] NOT NULL,
    state text NOT NULL DEFAULT 'emitted',
    answer text NOT NULL DEFAULT 'none',
    answer_detail jsonb,
    answered_at timestamptz,
    -- The number of the newest answer in its recipient's track.
    acts integer NOT NULL DEFAULT 0,
    -- How many of them the message that carries it tells of.
    acts_told integer NOT NULL DEFAULT 0,
    -- Of an edge whose recipient has moved: the answers that its present instance was told of, until it answers itself.
    told jsonb,
    -- The message that took the edge back, one for all edges to a recipient of referrals; its number in the urgent stream
    -- to `instance`, and its last outcome unless it was applied.
    withdrawal_id uuid,
    withdrawal_incarnation uuid,
    withdrawal_number bigint,
    withdrawal_receipt text,
    -- By which documents it was decided, and when; how often it was refused as stale; when it is decided again.
    law text NOT NULL,
    decided_at timestamptz NOT NULL,
    tried smallint NOT NULL DEFAULT 0,
    again_at timestamptz,
    -- Of a planned edge, a notice of a windowed rule, which agencies may hold meanwhile: when its window ends, and in
    -- which slot it is issued as things stand.
    window_ends timestamptz,
    issue_at timestamptz,
    -- The instance at which it lies does not know all of it: it is issued anew.
    missing boolean NOT NULL DEFAULT false,
    -- It was to be issued anew, and its recipient could not read it: it is once that can.
    unread boolean NOT NULL DEFAULT false,
    -- Where its recipient had it until it moved, and has it still although it was taken back: it is so there once more.
    untold text[] NOT NULL DEFAULT '{}',
    -- That of its referral, and whether that was withdrawn.
    rank smallint NOT NULL DEFAULT 1,
    taken_back boolean NOT NULL DEFAULT false,
    -- The last outcome of its message unless that was applied, its code, and the time of the first one.
    receipt text,
    receipt_code text,
    receipted_at timestamptz,
    -- Since when it needs a person; none where it does not. Derived from this row alone, so that nobody can forget it.
    attention timestamptz GENERATED ALWAYS AS (
        CASE WHEN taken_back OR state NOT IN ('emitted', 'waiting', 'referred') THEN NULL
             WHEN state = 'waiting' OR unread THEN decided_at
             -- An edge that moved is issued anew; a decision by a law that had lapsed is made again.
             WHEN receipt <> 'moved' AND coalesce(receipt_code, '') NOT IN ('decision_time_off', 'document_lapsed')
             THEN receipted_at
             WHEN answer IN ('declined', 'rejected', 'not_ours', 'reappeared') THEN answered_at
             WHEN rank = 0 AND answer IN ('none', 'acknowledged', 'in_part', 'accepted', 'ongoing') THEN decided_at
        END) STORED,
    CONSTRAINT edge_state CHECK (
        state IN ('emitted', 'waiting', 'planned', 'referred', 'superseded', 'dropped')),
    CONSTRAINT edge_waiting CHECK ((state IN ('waiting', 'planned')) <= (message_id IS NULL)),
    CONSTRAINT edge_referred CHECK ((state = 'referred') <= (message_id IS NULL)),
    CONSTRAINT edge_planned CHECK ((state = 'planned') <= (window_ends IS NOT NULL AND issue_at IS NOT NULL))
);
CREATE INDEX edge_of_referral ON edge (referral_id, recipient);
CREATE UNIQUE INDEX edge_notice ON edge (notice_id) WHERE notice_id IS NOT NULL;
-- What moves with its recipient: all else stays where it lies.
CREATE INDEX edge_at ON edge (recipient, instance, referral_id)
    WHERE state = 'emitted' AND NOT unread AND NOT taken_back
      AND answer IN ('accepted', 'acknowledged', 'in_part', 'none', 'ongoing', 'reappeared');
CREATE INDEX edge_sent ON edge (party, recipient, referral_id);
CREATE INDEX edge_attention ON edge (party, rank, attention, edge_id) WHERE attention IS NOT NULL;
-- What agencies have passed on and have again.
CREATE INDEX edge_came_back ON edge (party, rank, answered_at) WHERE answer_detail ? 'stands';
CREATE INDEX edge_waiting ON edge (edge_id) WHERE state = 'waiting';
CREATE INDEX edge_planned ON edge (issue_at) WHERE state = 'planned';
CREATE INDEX edge_planned_of ON edge (referral_id) WHERE state = 'planned';
CREATE INDEX edge_again ON edge (again_at) WHERE again_at IS NOT NULL;
CREATE INDEX edge_missing ON edge (referral_id) WHERE missing OR untold <> '{}';
CREATE INDEX edge_unread ON edge (edge_id) WHERE unread;
CREATE INDEX edge_withdrawal ON edge (withdrawal_id) WHERE withdrawal_id IS NOT NULL;

-- What became of each act of a recipient when it first came: one that comes again is answered alike and moves nothing.
-- Of those that were applied its own words, what it has led to, and when: a timeline, in which nothing is overwritten.
-- Whoever can write this table can keep an answer from moving its edge, or have it move it twice.
CREATE TABLE answer_act (
    subject uuid NOT NULL,
    sender text NOT NULL,
    act uuid NOT NULL,
    -- The code it was refused with; none where it was applied.
    code text,
    number integer,
    answer text,
    said jsonb,
    -- What is counted of what it said: what became of the child, and how many items were gone already.
    child_identified text GENERATED ALWAYS AS (said ->> 'child_identified') STORED,
    child_safeguarded text GENERATED ALWAYS AS (said ->> 'child_safeguarded') STORED,
    already_gone smallint GENERATED ALWAYS AS (
        jsonb_array_length(jsonb_path_query_array(said, '$.items[*] ? (@.action == "already_gone")'))) STORED,
    -- Which items a provider says that it removed, and what their origin found when it looked again (among the acts on
    -- its notice, with itself as the sender and no answer): item numbers, codes and times.
    removals jsonb GENERATED ALWAYS AS (
        jsonb_path_query_array(said, '$.items[*] ? (@.action == "removed")')) STORED,
    looks jsonb GENERATED ALWAYS AS (CASE WHEN answer IS NULL THEN said -> 'checked' END) STORED,
    -- The agency's own of its case, for this origin alone; under the key of the referral's record.
    case_reference bytea,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, sender, act),
    CONSTRAINT answer_act_said_bound CHECK (octet_length(said::text) <= 16384),
    CONSTRAINT answer_act_reference_bound CHECK (octet_length(case_reference) <= 128)
);

-- What an agency asks of this origin for one referral: that no notice be issued yet. Known by the id of the act that
-- placed it. Whoever can write this table can have a notice issued that an agency holds, or kept back that nobody does:
-- the agency is told of either.
CREATE TABLE hold (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    placed_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    state text NOT NULL,
    ended_at timestamptz,
    exercise boolean NOT NULL,
    -- That of its referral, for the list of what needs a person.
    rank smallint NOT NULL,
    PRIMARY KEY (referral_id, agency, hold_id),
    CONSTRAINT hold_state CHECK (
        state IN ('active', 'too_late', 'released', 'expired', 'overridden', 'lapsed')),
    CONSTRAINT hold_ended CHECK ((state IN ('active', 'too_late')) = (ended_at IS NULL))
);
CREATE INDEX hold_active ON hold (referral_id) WHERE state = 'active';
CREATE INDEX hold_expired ON hold (party, rank, ended_at, hold_id) WHERE state = 'expired';

-- The acts of a hold as they came, none overwritten: an override needs two of different actors.
CREATE TABLE hold_act (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    act text NOT NULL,
    at timestamptz NOT NULL,
    not_after timestamptz,
    basis text,
    actor text,
    -- In which order they came.
    kept bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CONSTRAINT hold_act_kind CHECK (act IN (
        'placed', 'too_late', 'extended', 'released', 'expired', 'lapsed', 'override_proposed', 'overridden'))
);
CREATE INDEX hold_act_of ON hold_act (referral_id, agency, hold_id);

-- The agencies that have looked at a referral and do not hold it.
CREATE TABLE no_objection (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    party text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, agency)
);

-- Who may claim a referral, since when, why, and since when one of them has it. Whoever can write this table can let a
-- hotline claim what it was sent and not asked to take over.
CREATE TABLE transfer (
    referral_id uuid NOT NULL,
    recipient text NOT NULL,
    party text NOT NULL,
    reason text NOT NULL,
    offered_at timestamptz NOT NULL,
    claimed_at timestamptz,
    PRIMARY KEY (referral_id, recipient)
);
-- One has it, whatever else is true.
CREATE UNIQUE INDEX transfer_claimed ON transfer (referral_id) WHERE claimed_at IS NOT NULL;
CREATE INDEX transfer_unclaimed ON transfer (party, offered_at) WHERE claimed_at IS NULL;

-- Which of a party's own referrals name one place. Tokens are made and looked up by a step of its own, after each
-- referral was answered; `location_place` is how far it has come in the party's feed, for each version of the form.
-- Whoever can write these tables can have links missing or invented; what was sent does not depend on them.

CREATE TABLE location_token (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, referral_id, n, version)
);
CREATE INDEX location_token_of ON location_token (party, version, token, referral_id);
CREATE INDEX location_token_made ON location_token (made_at);

CREATE TABLE relation (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    other uuid NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, referral_id, other, kind)
);
CREATE INDEX relation_of ON relation (party, other);

CREATE TABLE location_place (
    party text NOT NULL,
    version integer NOT NULL,
    arrival bigint NOT NULL,
    PRIMARY KEY (party, version)
);

-- Agencies that have accepted the same referral, or the same place, are told of each other.

-- Referrals that an agency has accepted since they were looked at, or that were found to name a known place. A row for
-- each time, so that none is taken away with another. Whoever can write this table can have agencies not told.
CREATE TABLE contact_due (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL
);

-- Which agency was told of which: of each of its cases once of each other agency, and again where it has forgotten it.
CREATE TABLE contact (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    other text NOT NULL,
    ground text NOT NULL,
    their_referral_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, agency, other)
);

-- Submissions of each party: the first side of accounting equation (I). Counted in the transaction that files.
CREATE TABLE intake_count (
    party text PRIMARY KEY,
    submitted bigint NOT NULL,
    accepted bigint NOT NULL,
    refused bigint NOT NULL
) WITH (fillfactor = 50);

-- Alarms that were raised about a party: once a kind and day, by whichever process was first. `name` is what the log
-- calls the party. Whoever can write this table can keep an alarm from being raised.
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

-- What each party has filed in a day (UTC), in sixteenths of a bit. Whoever can write this table can let a party file
-- more than its day's budget, or nothing.
CREATE TABLE party_day (
    party text NOT NULL,
    day date NOT NULL,
    record bigint NOT NULL,
    hashes bigint NOT NULL,
    PRIMARY KEY (party, day)
) WITH (fillfactor = 50);

-- The providers' own: notices issued to them. Whoever can write this table can hide a notice from its provider or
-- misstate its progress here; the notifier and audit still show that it was sent and taken, and what was answered.

CREATE TABLE notice (
    notice_id uuid NOT NULL,
    party text NOT NULL,
    notifier text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    -- The kind of incident that it says, by which a provider's own report counts it: no record is opened for that. None
    -- where it says none.
    incident_kind text,
    edge jsonb NOT NULL,
    content bytea NOT NULL,
    -- The message as it came, under the same key: whoever erases the record erases what proves it.
    evidence bytea NOT NULL,
    wrapped_key bytea,
    -- The class of its edge; empty where it says none.
    retention text NOT NULL GENERATED ALWAYS AS (coalesce(edge -> 'handling' ->> 'retention', '')) STORED,
    received_at timestamptz NOT NULL DEFAULT now(),
    -- The number of the act that began it, in the party's feed. Lists are ordered by it.
    arrival bigint,
    -- As its sender says; none where a provider is not told.
    priority text,
    -- Its place in the lists: what is open and has a child at risk stands above all that has arrived.
    place bigint GENERATED ALWAYS AS (
        CASE WHEN priority = 'p0_child_at_risk' AND state IN ('issued', 'acknowledged', 'in_part', 'reappeared')
             THEN arrival + 4611686018427387904 ELSE arrival END) STORED,
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- The numbers of its items.
    numbers smallint[] NOT NULL DEFAULT '{}',
    -- The revision that stands, and how many acts the party has done on it.
    revision integer NOT NULL DEFAULT 1,
    acts integer NOT NULL DEFAULT 0,
    -- Of these, those that its sender told of: done elsewhere, before the party moved here.
    told integer NOT NULL DEFAULT 0,
    -- What the party has said in its own acts, by the name of each word: codes and times, no text of its own.
    said jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (notice_id, party),
    CONSTRAINT notice_said_bound CHECK (octet_length(said::text) <= 1048576),
    CONSTRAINT notice_content_bound CHECK (octet_length(content) <= 33000),
    CONSTRAINT notice_evidence_bound CHECK (octet_length(evidence) <= 131072)
) WITH (toast_tuple_target = 512);
-- Ciphertext lies out of line: a row is changed when it is numbered and by each act, and this is not written again.
-- Trying to compress it would cost CPU time only.
ALTER TABLE notice
    ALTER COLUMN content SET STORAGE EXTERNAL,
    ALTER COLUMN evidence SET STORAGE EXTERNAL;
-- The list, whole and by what it is looked through for: state, priority, who sent it, period.
CREATE INDEX notice_by_place ON notice (party, place) WHERE place IS NOT NULL;
CREATE INDEX notice_by_state ON notice (party, state, place) WHERE place IS NOT NULL;
CREATE INDEX notice_at_risk ON notice (party, place) WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_at_risk_by_state ON notice (party, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_from ON notice (party, notifier, place) WHERE place IS NOT NULL;
CREATE INDEX notice_from_by_state ON notice (party, notifier, state, place) WHERE place IS NOT NULL;
CREATE INDEX notice_at_risk_from ON notice (party, notifier, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_at_risk_from_by_state ON notice (party, notifier, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_by_time ON notice (party, received_at) WHERE arrival IS NOT NULL;
-- Written so that no look for places takes it for one of theirs.
CREATE INDEX notice_attention ON notice (party, received_at, notice_id)
    WHERE place - 4611686018427387904 >= 0;
-- Work items are led by the open notices, in the order of their places.
CREATE INDEX notice_open ON notice (party, place)
    WHERE place IS NOT NULL AND state IN ('acknowledged', 'in_part', 'issued', 'reappeared');
-- What retention still has to look at, by class and time.
CREATE INDEX notice_kept ON notice (retention, received_at) WHERE wrapped_key IS NOT NULL;
-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX notice_taken_back ON notice (changed_at) WHERE state = 'withdrawn';
CREATE INDEX notice_kept_until ON notice ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

-- What agencies ask providers to keep, at the provider. Whoever can write these tables can hide a request or misstate
-- what was answered; the other side and audit still show what was sent and taken.

-- `offered` is the agency's track, `answer` the provider's, `state` what both are shown. `acts` counts the party's own
-- acts, `told` is the number of the other side's newest; `asks`: it is the agency. What is sealed lies under a key of its
-- own: deleting the key erases it.
CREATE TABLE preservation (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    counterpart text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    offered text NOT NULL,
    answer text NOT NULL,
    kind text NOT NULL,
    instrument text NOT NULL,
    term text,
    until date,
    acts integer NOT NULL,
    told integer NOT NULL,
    asks boolean NOT NULL,
    content bytea NOT NULL,
    wrapped_key bytea,
    asked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- Of the party's newest act that the other side's instance has refused: then it was never said there.
    code text,
    refused_at timestamptz,
    -- The number of the act that began it, in the party's feed. Lists are ordered by it.
    arrival bigint,
    PRIMARY KEY (preservation_id, party),
    CONSTRAINT preservation_content_bound CHECK (octet_length(content) <= 33000)
);
CREATE INDEX preservation_by_arrival ON preservation (party, arrival) WHERE arrival IS NOT NULL;
CREATE INDEX preservation_by_state ON preservation (party, state, arrival) WHERE arrival IS NOT NULL;
-- What waits for its provider's answer, the oldest first.
CREATE INDEX preservation_unanswered ON preservation (party, asked_at, preservation_id) WHERE state = 'requested';
CREATE INDEX preservation_refused ON preservation (party, refused_at, preservation_id) WHERE refused_at IS NOT NULL;
-- What has ended long ago is erased, the oldest first.
CREATE INDEX preservation_by_key ON preservation (received_at) WHERE wrapped_key IS NOT NULL;

-- Each act of either side as it was said. Nothing is changed, and none removed.
CREATE TABLE preservation_act (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    track text NOT NULL,
    number integer NOT NULL,
    -- What it was told by, where it is the party's own.
    message_id uuid,
    name text NOT NULL,
    state text NOT NULL,
    said jsonb NOT NULL,
    at timestamptz NOT NULL,
    -- In which order they came.
    kept bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (preservation_id, party, track, number),
    CONSTRAINT preservation_act_said_bound CHECK (octet_length(said::text) <= 4096)
);
CREATE UNIQUE INDEX preservation_act_message ON preservation_act (message_id) WHERE message_id IS NOT NULL;

-- Where the items of notices lie, and what agencies want kept, by keyed tokens: whoever has the rows and not the key can
-- tell which lie at one place, and not at which. Of each version of the form that whoever wrote a row knew there is one
-- row, and only rows of one version are compared. Whoever can write these can keep a request from being seen to match.
CREATE TABLE notice_location (
    notice_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (notice_id, party, n, version)
);
CREATE INDEX notice_location_token ON notice_location (party, version, token);

CREATE TABLE preservation_location (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (preservation_id, party, version, token)
);
CREATE INDEX preservation_location_token ON preservation_location (party, version, token);

-- Whoever removes and whoever asks for the same place follow one another: each locks the rows of its tokens, who
-- removes beside others who do. They are all there from the start, and say nothing. Whoever can lock one can keep a
-- request or an answer from being stored: the service alone.
CREATE TABLE location_turn (
    slot smallint PRIMARY KEY
);
INSERT INTO location_turn (slot) SELECT generate_series(0, 32767);

-- What recipients ask their origins and contest, and what these answer: a row at whoever raised it, one at whoever is
-- told. `own`: its party has raised it; else it is to answer. `told_by` is the id by which messages name the subject.
-- `about`, `said` are codes and item numbers. Whoever can write this table can hide a question or misstate its answer
-- here.
CREATE TABLE question (
    question_id uuid NOT NULL,
    party text NOT NULL,
    told_by uuid NOT NULL,
    counterpart text NOT NULL,
    own boolean NOT NULL,
    number integer NOT NULL,
    -- What it is told by, where it is its party's own. Where its origin's instance refuses that, it was never raised.
    message_id uuid,
    kind text NOT NULL,
    subject uuid NOT NULL,
    about smallint[] NOT NULL,
    said jsonb NOT NULL,
    revision integer NOT NULL,
    raised_at timestamptz NOT NULL,
    due timestamptz,
    state text NOT NULL DEFAULT 'open',
    -- When it was raised, or came to its state.
    since timestamptz NOT NULL,
    -- Whoever has raised it has gone on since it was answered.
    seen boolean NOT NULL DEFAULT false,
    -- That of its referral at the origin, for the list of what needs a person.
    rank smallint NOT NULL,
    PRIMARY KEY (party, told_by, counterpart, own, number),
    CONSTRAINT question_kind CHECK (kind IN ('question', 'dispute')),
    CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused')),
    CONSTRAINT question_said_bound CHECK (octet_length(said::text) <= 8192)
);
CREATE INDEX question_by_party ON question (party, raised_at DESC, question_id DESC);
CREATE INDEX question_of_subject ON question (party, subject);
CREATE INDEX question_asked ON question (party, rank, since, question_id) WHERE NOT own;
CREATE INDEX question_own ON question (party, since, question_id) WHERE own AND NOT seen;
CREATE INDEX question_due ON question (due) WHERE own AND state = 'open';
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE own AND state = 'open';

-- Where a party has its events sent, and what came of it. Whoever can write these tables can have a party's events sent
-- elsewhere, or not at all; its feed shows them all the same. Address and secrets are under a key of the row's own.
-- `number` is of the last event that the receiver has confirmed: it stands in the same database as the feed, so that both
-- are restored together. Who works on it has the lease; what is noted counts only under it.

CREATE TABLE webhook (
    webhook_id uuid PRIMARY KEY,
    party text NOT NULL,
    state text NOT NULL,
    number bigint NOT NULL,
    wrapped_key bytea,
    url bytea,
    secret bytea,
    -- The secret that it had before: it signs too until then.
    secret_before bytea,
    before_until timestamptz,
    -- How often the event after `number` was sent in vain, since when, and when it is sent again.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at timestamptz NOT NULL,
    lease uuid,
    leased_until timestamptz,
    -- How many lines of its log were ever written.
    entries bigint NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    CONSTRAINT webhook_url_bound CHECK (octet_length(url) <= 600),
    CONSTRAINT webhook_secret_bound CHECK (octet_length(secret) <= 128 AND octet_length(secret_before) <= 128)
);
CREATE INDEX webhook_by_party ON webhook (party, webhook_id) WHERE state <> 'removed';
CREATE INDEX webhook_due ON webhook (due_at) WHERE state = 'active';

-- The newest lines of the log: a later one takes the place of the one a thousand before it.
CREATE TABLE webhook_delivery (
    webhook_id uuid NOT NULL,
    slot integer NOT NULL,
    party text NOT NULL,
    entry bigint NOT NULL,
    message_id text NOT NULL,
    number bigint NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    code text NOT NULL,
    status integer,
    duration_ms integer NOT NULL,
    PRIMARY KEY (webhook_id, slot)
);

-- Deadlines: an edge as one of its parties knows it, the steps that both parties know, and what follows from these and
-- the published law. Timers and times can be emptied and counted again. A person who can write this table can keep a
-- party from hearing that something is due, and can end a preservation early or late. Records and answers stay visible.

CREATE TABLE deadline (
    edge_id uuid NOT NULL,
    party text NOT NULL,
    -- The id by which this party knows the subject, and the id that messages carry. They differ for notices at the origin.
    subject uuid NOT NULL,
    told_by uuid NOT NULL,
    origin text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    rules text[] NOT NULL,
    -- Set for preservations only: the legal instrument, and the clock event of the request. Both are empty otherwise.
    instrument text NOT NULL DEFAULT '',
    begins text NOT NULL DEFAULT '',
    acknowledge_h integer,
    act_h integer,
    begun_at timestamptz NOT NULL,
    -- [at, did, code, of] in order, each once. `at` is in microseconds since 1970.
    steps jsonb NOT NULL DEFAULT '[]',
    -- [due_at, clock, run, owed_by, due, consequence, rung], soonest first. Null until the law has counted them once.
    timers jsonb,
    -- The time of the scheduler's next look: at once where the law has not counted, null while no notification is left.
    due_at timestamptz DEFAULT '-infinity',
    -- The time at which the first open timer falls due or fell due. Null: no timer is open.
    overdue_at timestamptz,
    -- A code: the reason why deadlines cannot be counted. The scheduler tries again at `due_at`.
    aside text,
    PRIMARY KEY (edge_id, party)
);
CREATE INDEX deadline_told ON deadline (told_by, party);
CREATE INDEX deadline_due ON deadline (due_at) WHERE due_at IS NOT NULL;
-- A row is in one of the two: whether it has a timer that can become overdue, or only ends of preservations.
CREATE INDEX deadline_overdue ON deadline (party, overdue_at, edge_id)
    WHERE overdue_at IS NOT NULL AND jsonb_path_exists(timers, 'strict $[*] ? (@[5] != "erase")');
CREATE INDEX deadline_ending ON deadline (party, overdue_at, edge_id)
    WHERE overdue_at IS NOT NULL AND NOT jsonb_path_exists(timers, 'strict $[*] ? (@[5] != "erase")');
CREATE INDEX deadline_subject ON deadline (party, subject);
CREATE INDEX deadline_aside ON deadline (edge_id) WHERE aside IS NOT NULL;

-- Who may do what in which state: a second, independent copy of the service's table of permissions, held equal to it
-- by the isolation tests.

CREATE TABLE permitted (
    resource text NOT NULL,
    action text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (resource, action, role, state)
);
INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, cell.action, one_role, one_state
FROM (VALUES
    ('referral', 'read', 'analyst machine viewer',
     'routed unroutable orphaned unknown_code unreleased dropped transferred withdrawn'),
    ('referral', 'submit', 'analyst machine', 'routed unroutable orphaned unknown_code unreleased'),
    ('referral', 'release', 'analyst', 'unreleased'),
    ('referral', 'drop', 'analyst', 'unreleased'),
    ('referral', 'amend', 'analyst machine', 'routed unroutable orphaned unknown_code'),
    ('referral', 'reroute', 'analyst machine', 'routed'),
    ('referral', 'check', 'analyst machine', 'routed transferred'),
    -- Of two persons, on a referral that is somebody else's to hold.
    ('referral', 'propose_override', 'analyst', 'routed unroutable orphaned unknown_code'),
    ('referral', 'confirm_override', 'analyst', 'routed unroutable orphaned unknown_code'),
    ('referral', 'transfer', 'analyst machine', 'routed orphaned'),
    ('referral', 'reply', 'analyst machine', 'routed transferred'),
    ('referral', 'uphold', 'analyst machine', 'routed transferred'),
    ('referral', 'withdraw', 'analyst machine', 'routed unroutable orphaned unknown_code transferred'),
    ('referral', 'apply', 'service',
     'routed unroutable orphaned unknown_code unreleased dropped transferred withdrawn'),
    ('notice', 'read', 'analyst machine viewer',
     'issued acknowledged in_part actioned rejected not_ours reappeared withdrawn withdrawal_acknowledged '
     || 'record_erased'),
    ('notice', 'acknowledge', 'analyst machine', 'issued'),
    ('notice', 'answer', 'analyst machine', 'issued acknowledged in_part reappeared'),
    ('notice', 'not_ours', 'analyst machine', 'issued acknowledged in_part reappeared'),
    ('notice', 'reinstate', 'analyst machine', 'in_part actioned reappeared'),
    ('notice', 'ask', 'analyst machine', 'issued acknowledged in_part reappeared'),
    ('notice', 'dispute', 'analyst machine', 'issued acknowledged in_part reappeared'),
    ('notice', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('notice', 'apply', 'service',
     'issued acknowledged in_part actioned rejected not_ours reappeared withdrawn withdrawal_acknowledged '
     || 'record_erased'),
    ('preservation', 'read', 'analyst machine viewer',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused '
     || 'ended withdrawn withdrawal_acknowledged'),
    ('preservation', 'answer', 'analyst machine', 'requested'),
    ('preservation', 'answer_extension', 'analyst machine', 'extension_requested'),
    ('preservation', 'end', 'analyst machine', 'preserved extension_requested extended extension_refused'),
    ('preservation', 'correct', 'analyst machine', 'preserved refused not_possible too_late'),
    ('preservation', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('preservation', 'apply', 'service',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused '
     || 'ended withdrawn withdrawal_acknowledged'),
    ('event', 'read', 'analyst machine viewer', 'numbered'),
    ('webhook', 'read', 'analyst machine viewer', 'active paused removed'),
    ('webhook', 'submit', 'analyst machine', 'active'),
    ('webhook', 'remove', 'analyst machine', 'active paused'),
    ('webhook', 'replay', 'analyst machine', 'active paused'),
    ('webhook', 'rotate', 'analyst machine', 'active paused'),
    ('webhook', 'trigger', 'analyst machine', 'active paused'),
    ('webhook', 'apply', 'service', 'active paused')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

-- Row-level security: PostgreSQL's own answer to who may do what to which row, below every use case. A row is visible
-- and changeable only if its `party` is among those the transaction was bound to *and* a row of `permitted` allows the
-- bound role the bound action in the row's present state. Nothing bound means nothing visible. It is forced on the
-- owner too; whoever holds the owner's role can change the policies, the service's login role cannot.
-- Rows are seen by party, role and action; added and changed only in a state in which the action is permitted, or, in a
-- table without states, where it is permitted in any. `read` only sees, `submit` only adds, `apply` adds and changes,
-- every other action changes, and adds what lies beside its row; none removes but where it says so. A
-- `SELECT … FOR UPDATE` sees only what could be changed.
-- Neither sub-select looks at the row: PostgreSQL computes them once for a statement, not for every row.
-- A statement that acts for one party names it too, and an index finds the rows by that, in their order. `coalesce` keeps
-- the planner from guessing how many parties are bound, and so from taking a large party for a small one.

ALTER TABLE erased_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE erased_record FORCE ROW LEVEL SECURITY;
CREATE POLICY erased_record_seen ON erased_record FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY erased_record_added ON erased_record FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);

-- A party sees its own acts; no transaction sees those of two parties. Acts are added and never changed or removed.

ALTER TABLE record_look ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_look FORCE ROW LEVEL SECURITY;
CREATE POLICY record_look_seen ON record_look FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
-- Whoever reads adds, and does nothing else to it.
CREATE POLICY record_look_added ON record_look FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'read'
    )
);

ALTER TABLE act ENABLE ROW LEVEL SECURITY;
ALTER TABLE act FORCE ROW LEVEL SECURITY;
CREATE POLICY act_seen ON act FOR SELECT USING (
    party = (SELECT current_setting('causeway.parties', true))
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'event' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY act_added ON act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
);

ALTER TABLE referral ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_seen ON referral FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY referral_added ON referral FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND referral.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY referral_changed ON referral FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND referral.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

-- Nobody changes or removes what was said before.
ALTER TABLE referral_revision ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral_revision FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_revision_seen ON referral_revision FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY referral_revision_added ON referral_revision FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('amend', 'reroute')
    )
);

ALTER TABLE edge ENABLE ROW LEVEL SECURITY;
ALTER TABLE edge FORCE ROW LEVEL SECURITY;
CREATE POLICY edge_seen ON edge FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY edge_added ON edge FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'release', 'amend', 'reroute', 'apply')
    )
);
CREATE POLICY edge_changed ON edge FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_seen ON hold FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_added ON hold FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY hold_changed ON hold FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE hold_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold_act FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_act_seen ON hold_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_act_added ON hold_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE no_objection ENABLE ROW LEVEL SECURITY;
ALTER TABLE no_objection FORCE ROW LEVEL SECURITY;
CREATE POLICY no_objection_seen ON no_objection FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY no_objection_added ON no_objection FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY no_objection_removed ON no_objection FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE transfer ENABLE ROW LEVEL SECURITY;
ALTER TABLE transfer FORCE ROW LEVEL SECURITY;
CREATE POLICY transfer_seen ON transfer FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY transfer_added ON transfer FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'transfer'
    )
);
CREATE POLICY transfer_changed ON transfer FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('transfer', 'apply')
    )
);

ALTER TABLE location_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE location_token FORCE ROW LEVEL SECURITY;
CREATE POLICY location_token_seen ON location_token FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY location_token_added ON location_token FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);

ALTER TABLE relation ENABLE ROW LEVEL SECURITY;
ALTER TABLE relation FORCE ROW LEVEL SECURITY;
CREATE POLICY relation_seen ON relation FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY relation_added ON relation FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);

ALTER TABLE contact_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_due FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_due_seen ON contact_due FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY contact_due_added ON contact_due FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
CREATE POLICY contact_due_removed ON contact_due FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);

ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_seen ON contact FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY contact_added ON contact FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
CREATE POLICY contact_removed ON contact FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);

ALTER TABLE notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE notice FORCE ROW LEVEL SECURITY;
CREATE POLICY notice_seen ON notice FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY notice_added ON notice FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND notice.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY notice_changed ON notice FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND notice.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND notice.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'notice')
);

ALTER TABLE preservation ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_seen ON preservation FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_added ON preservation FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY preservation_changed ON preservation FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND preservation.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'preservation')
);

ALTER TABLE preservation_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation_act FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_act_seen ON preservation_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_act_added ON preservation_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action <> 'read'
    )
);

ALTER TABLE notice_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE notice_location FORCE ROW LEVEL SECURITY;
CREATE POLICY notice_location_seen ON notice_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY notice_location_added ON notice_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'apply'
    )
);
-- Tokens of places end with the record that they are of.
CREATE POLICY notice_location_removed ON notice_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('acknowledge_withdrawal', 'apply')
    )
);

ALTER TABLE preservation_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation_location FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_location_seen ON preservation_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_location_added ON preservation_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'apply'
    )
);
-- Tokens of places end with the record that they are of.
CREATE POLICY preservation_location_removed ON preservation_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('apply')
    )
);

ALTER TABLE question ENABLE ROW LEVEL SECURITY;
ALTER TABLE question FORCE ROW LEVEL SECURITY;
CREATE POLICY question_seen ON question FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY question_added ON question FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY question_changed ON question FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_seen ON webhook FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY webhook_added ON webhook FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND webhook.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY webhook_changed ON webhook FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND webhook.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND webhook.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'webhook')
);

ALTER TABLE webhook_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_delivery_seen ON webhook_delivery FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY webhook_delivery_added ON webhook_delivery FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )
);
CREATE POLICY webhook_delivery_changed ON webhook_delivery FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

-- A deadline belongs to a subject of any resource: every act that the role may do sees it and adds its step. Only
-- `apply` removes one.

ALTER TABLE deadline ENABLE ROW LEVEL SECURITY;
ALTER TABLE deadline FORCE ROW LEVEL SECURITY;
CREATE POLICY deadline_seen ON deadline FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY deadline_added ON deadline FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'release', 'amend', 'reroute', 'apply')
    )
);
CREATE POLICY deadline_changed ON deadline FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY deadline_removed ON deadline FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'apply'
    )
);

-- What the service may touch at all: where no policy lets a row be changed or removed, none is. The accountant reads the
-- accounts of the streams, to reconcile the databases, and no message.

EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        stream_pair, stream, stream_source, receive_state, incarnation, exception, outcome_open, resync_state,
        operator_line, proof, track
     TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON segment TO %I', service);
EXECUTE format('GRANT EXECUTE ON FUNCTION make_segment_days, drop_segment_days, number_filings TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        lease, peer, document, erased_record, ending, api_key, console_person, console_link, console_session,
        idempotency
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        referral, referral_revision, edge, answer_act, hold, hold_act, no_objection, transfer, location_token,
        relation, intake_count, alarm, party_day
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        notice, preservation, preservation_act, notice_location, preservation_location, question, webhook,
        webhook_delivery, deadline
     TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON act, record_look TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON feed TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON feed_epoch, location_turn TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON location_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON contact_due, contact TO %I', service);
EXECUTE format('GRANT SELECT ON permitted TO %I', service);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
EXECUTE format(
    'GRANT SELECT ON
        stream_account, outcome_account, receive_account, closed_account, exception_account, intake_count
     TO %I', accountant);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', accountant);

-- Of isolated tables the accountant reads ids, states, times, answers and coded outcomes, for counting only, whoever's
-- they are: no words of items, no references, not which item was gone already, nor why one was held.

EXECUTE format(
    'GRANT SELECT (
        referral_id, party, exercise, disposition, state, work_reason, accepted_at)
     ON referral TO %I', accountant);
EXECUTE format('CREATE POLICY referral_counted ON referral FOR SELECT TO %I USING (true)', accountant);
EXECUTE format(
    'GRANT SELECT (
        edge_id, message_id, messages_before, referral_id, notice_id, party, recipient, purpose, state, answer,
        decided_at, instance, incarnation, lane, number, receipt, receipt_code)
     ON edge TO %I', accountant);
EXECUTE format('CREATE POLICY edge_counted ON edge FOR SELECT TO %I USING (true)', accountant);
EXECUTE format(
    'GRANT SELECT (
        subject, sender, code, answer, child_identified, child_safeguarded, already_gone, removals, looks, at)
     ON answer_act TO %I', accountant);
EXECUTE format('GRANT SELECT (referral_id, placed_at, state) ON hold TO %I', accountant);
EXECUTE format('CREATE POLICY hold_counted ON hold FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (notice_id, party, state) ON notice TO %I', accountant);
EXECUTE format('CREATE POLICY notice_counted ON notice FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (preservation_id, party, state) ON preservation TO %I', accountant);
EXECUTE format('CREATE POLICY preservation_counted ON preservation FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (edge_id, party, begun_at) ON deadline TO %I', accountant);
EXECUTE format('CREATE POLICY deadline_counted ON deadline FOR SELECT TO %I USING (true)', accountant);

END $migration$;

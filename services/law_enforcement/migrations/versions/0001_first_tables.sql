-- What every instance has, and the agencies' own, isolated by party, role, action and state.
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

-- The agencies' own: cases, and the edges on which each was offered. Whoever can write these tables can hide a case
-- from its agency or misstate its progress here; origin and audit still show that it was sent and taken, and what
-- was answered.

CREATE TABLE case_file (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    origin text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    -- The number of the act that began it, in the party's feed. Lists are ordered by it.
    arrival bigint,
    -- As its sender says; none where a provider is not told.
    priority text,
    -- Its place in the lists: what is open and has a child at risk stands above all that has arrived.
    place bigint GENERATED ALWAYS AS (
        CASE WHEN priority = 'p0_child_at_risk' AND state IN ('offered', 'accepted', 'ongoing')
             THEN arrival + 4611686018427387904 ELSE arrival END) STORED,
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- The revision that stands, and how many acts the party has done on it.
    revision integer NOT NULL DEFAULT 1,
    acts integer NOT NULL DEFAULT 0,
    -- Of these, those that its sender told of: done elsewhere, before the party moved here.
    told integer NOT NULL DEFAULT 0,
    -- What the party has said in its own acts, by the name of each word: codes and times, no text of its own.
    said jsonb NOT NULL DEFAULT '{}',
    -- The agency's own reference of it, under a key of its own. It is found by a keyed token: whoever has the rows can
    -- tell which cases the agency calls alike, and not how.
    case_reference bytea,
    reference_key bytea,
    reference_token bytea,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_file_said_bound CHECK (octet_length(said::text) <= 4096),
    CONSTRAINT case_file_reference_bound CHECK (octet_length(case_reference) <= 128),
    CONSTRAINT case_file_token_bound CHECK (octet_length(reference_token) = 16)
);
-- The list, whole and by what it is looked through for: state, priority, who sent it, period.
CREATE INDEX case_file_by_place ON case_file (party, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_by_state ON case_file (party, state, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_at_risk ON case_file (party, place) WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_at_risk_by_state ON case_file (party, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_from ON case_file (party, origin, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_from_by_state ON case_file (party, origin, state, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_at_risk_from ON case_file (party, origin, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_at_risk_from_by_state ON case_file (party, origin, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_by_time ON case_file (party, received_at) WHERE arrival IS NOT NULL;
-- Written so that no look for places takes it for one of theirs.
CREATE INDEX case_file_attention ON case_file (party, received_at, referral_id)
    WHERE place - 4611686018427387904 >= 0;
CREATE INDEX case_file_by_reference ON case_file (party, reference_token, referral_id) WHERE reference_token IS NOT NULL;
-- What was passed on to another agency and has come back.
CREATE INDEX case_file_came_back ON case_file (party, changed_at) WHERE said ? 'stands';
-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX case_file_taken_back ON case_file (changed_at) WHERE state = 'withdrawn';
CREATE INDEX case_file_kept_until ON case_file ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

-- One row per purpose for which the referral was offered to the agency, and per revision: what an accepted case had
-- before stays beside what stands.
CREATE TABLE case_edge (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    purpose text NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    edge jsonb NOT NULL,
    content bytea NOT NULL,
    -- The message as it came, under the same key: whoever erases the record erases what proves it.
    evidence bytea NOT NULL,
    wrapped_key bytea,
    -- The class of its edge; empty where it says none.
    retention text NOT NULL GENERATED ALWAYS AS (coalesce(edge -> 'handling' ->> 'retention', '')) STORED,
    -- What it takes to pass the case on to another agency: the edge as it came, what it was decided by, and its salt.
    edge_id uuid,
    decision jsonb,
    salt text,
    spelt text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, party, purpose, revision),
    CONSTRAINT case_edge_content_bound CHECK (octet_length(content) <= 33000),
    CONSTRAINT case_edge_evidence_bound CHECK (octet_length(evidence) <= 131072)
    -- Rows that hold ciphertext stay whole up to a page. Trying to compress it would cost CPU time only.
) WITH (toast_tuple_target = 8160);
-- What retention still has to look at, by class and time.
CREATE INDEX case_edge_kept ON case_edge (retention, received_at) WHERE wrapped_key IS NOT NULL;

-- What the agency has said, act by act: a timeline, in which nothing is overwritten.
CREATE TABLE case_act (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    said jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_act_said_bound CHECK (octet_length(said::text) <= 4096)
);

-- Which officer has a case. Rows are added and never changed: of each case the one with the highest number counts.
-- `actor` is null where it was handed over to nobody. Whoever can write this table can keep an officer from a case for a
-- term, or let two work on it.
CREATE TABLE case_lease (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    actor text,
    until timestamptz NOT NULL,
    by_actor text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_lease_number CHECK (number > 0),
    CONSTRAINT case_lease_term CHECK (until <= at + interval '12 hours')
);
-- Whoever looks for what they have claimed finds it by their own claims.
CREATE INDEX case_lease_by_actor ON case_lease (party, actor, until);

-- How a case came from another agency, and what that one had made of it, in codes.
CREATE TABLE case_passed (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    by_party text NOT NULL,
    reason text NOT NULL,
    history jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_passed_history_bound CHECK (octet_length(history::text) <= 65536)
);

-- By which messages a case was passed on to another agency, and as what it stood: it comes back once each of them was
-- refused. Whoever can write this can have a case that another agency has seem to be the first one's again, or keep it
-- from that.
CREATE TABLE case_passing (
    message_id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL,
    edge_id uuid NOT NULL,
    stood text NOT NULL,
    refused boolean NOT NULL DEFAULT false
);
CREATE INDEX case_passing_of_case ON case_passing (referral_id, party, edge_id);

-- Agencies that have accepted the same referral, or the same place, as origins have told of them: of each case of each
-- other agency once. `attention`: since when it needs a person of the agency.
CREATE TABLE case_contact (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    agency text NOT NULL,
    ground text NOT NULL,
    their_referral_id uuid NOT NULL,
    at timestamptz NOT NULL,
    attention timestamptz,
    PRIMARY KEY (referral_id, party, agency)
);
CREATE INDEX case_contact_attention ON case_contact (party, attention, referral_id) WHERE attention IS NOT NULL;

-- Tokens of the places of an agency's cases, by its instance's key. Whoever can write this table can have cases of one
-- place not shown together, or an officer not warned that a hold stands at one.
CREATE TABLE case_location (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, party, n, version, token)
);
CREATE INDEX case_location_of ON case_location (party, version, token, referral_id);
CREATE INDEX case_location_made ON case_location (made_at);

-- What an agency asks of the origins of its cases: that no notice be issued yet. Known by the id of the act that placed
-- it. `asked_until` is what the agency asks for, `not_after` what the origin has said that it holds for. Whoever can write
-- this table can misstate a hold here; the origin's own table says what it holds.
CREATE TABLE hold (
    hold_id uuid NOT NULL,
    party text NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    not_after timestamptz,
    held smallint,
    issued smallint,
    issued_at timestamptz,
    ended_at timestamptz,
    -- Since when it needs a person: it has ended otherwise than by its agency, which has done nothing since.
    attention timestamptz,
    PRIMARY KEY (hold_id, party),
    CONSTRAINT hold_state CHECK (
        state IN ('asked', 'active', 'too_late', 'released', 'expired', 'overridden', 'lapsed'))
);
CREATE INDEX hold_by_party ON hold (party, asked_at DESC, hold_id);
CREATE INDEX hold_of_case ON hold (referral_id, party);
CREATE INDEX hold_attention ON hold (party, attention, hold_id) WHERE attention IS NOT NULL;

-- What agencies ask providers to keep, at the agency. Whoever can write these tables can hide a request or misstate
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
    ('case', 'read', 'analyst machine viewer',
     'offered accepted declined ongoing referred closed withdrawn withdrawal_acknowledged record_erased'),
    ('case', 'accept', 'analyst machine', 'offered'),
    ('case', 'decline', 'analyst machine', 'offered'),
    ('case', 'outcome', 'analyst machine', 'accepted ongoing'),
    ('case', 'claim', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'hand_over', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'refer', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'place_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'extend_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'release_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'no_objection', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'ask', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'dispute', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('case', 'apply', 'service',
     'offered accepted declined ongoing referred closed withdrawn withdrawal_acknowledged record_erased'),
    ('preservation', 'read', 'analyst machine viewer',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused '
     || 'ended withdrawn withdrawal_acknowledged'),
    ('preservation', 'submit', 'analyst machine', 'requested'),
    ('preservation', 'extend', 'analyst machine', 'preserved'),
    ('preservation', 'withdraw', 'analyst machine',
     'requested preserved extension_requested extended extension_refused'),
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

ALTER TABLE case_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_file FORCE ROW LEVEL SECURITY;
CREATE POLICY case_file_seen ON case_file FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_file_added ON case_file FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND case_file.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY case_file_changed ON case_file FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND case_file.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND case_file.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'case')
);

ALTER TABLE case_edge ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_edge FORCE ROW LEVEL SECURITY;
CREATE POLICY case_edge_seen ON case_edge FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_edge_added ON case_edge FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )
);
CREATE POLICY case_edge_changed ON case_edge FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE case_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_act FORCE ROW LEVEL SECURITY;
CREATE POLICY case_act_seen ON case_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_act_added ON case_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_lease FORCE ROW LEVEL SECURITY;
CREATE POLICY case_lease_seen ON case_lease FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_lease_added ON case_lease FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_passed ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passed FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passed_seen ON case_passed FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passed_added ON case_passed FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);

ALTER TABLE case_passing ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passing FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passing_seen ON case_passing FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_added ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'refer'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'refer' AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_amended ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_changed ON case_passing FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE case_contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_contact FORCE ROW LEVEL SECURITY;
CREATE POLICY case_contact_seen ON case_contact FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_contact_added ON case_contact FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_contact_changed ON case_contact FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_location FORCE ROW LEVEL SECURITY;
CREATE POLICY case_location_seen ON case_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_location_added ON case_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_location_removed ON case_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_seen ON hold FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_added ON hold FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY hold_changed ON hold FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
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
          AND p.action IN ('submit', 'release', 'apply')
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
EXECUTE format('GRANT EXECUTE ON FUNCTION make_segment_days, drop_segment_days TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        lease, peer, document, erased_record, ending, api_key, console_person, console_link, console_session,
        idempotency
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        case_file, case_edge, case_act, hold, preservation, preservation_act, question, webhook, webhook_delivery,
        deadline
     TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON act, record_look TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON feed TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON feed_epoch TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON case_lease, case_passed, case_passing TO %I', service);
EXECUTE format('GRANT UPDATE (refused) ON case_passing TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON case_contact TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON case_location TO %I', service);
EXECUTE format('GRANT SELECT ON permitted TO %I', service);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
EXECUTE format(
    'GRANT SELECT ON stream_account, outcome_account, receive_account, closed_account, exception_account
     TO %I', accountant);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', accountant);

-- Of isolated tables the accountant reads ids, states, times, answers and coded outcomes, for counting only, whoever's
-- they are: no words of items, no references, not which item was gone already, nor why one was held.

EXECUTE format('GRANT SELECT (referral_id, party, state) ON case_file TO %I', accountant);
EXECUTE format('CREATE POLICY case_file_counted ON case_file FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (referral_id, party, purpose) ON case_edge TO %I', accountant);
EXECUTE format('CREATE POLICY case_edge_counted ON case_edge FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (preservation_id, party, state) ON preservation TO %I', accountant);
EXECUTE format('CREATE POLICY preservation_counted ON preservation FOR SELECT TO %I USING (true)', accountant);

END $migration$;

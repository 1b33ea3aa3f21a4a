-- What every instance has, and audit's own, which its service role may only append to.
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

-- The one process that does a task (`relay`, `reader`): its notes count only under the newest fence. The service's role
-- alone takes a lease.
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
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
-- before the rest is applied. Whoever can write it can have revoked keys of a restored backup left alive; the journal
-- itself lies elsewhere. Which database this was at the last start is noted, too: in another one, which was restored,
-- nobody is signed in.
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
    -- What the party calls them, for the others of it; auditors' looks bear opaque names all the same.
    called text,
    PRIMARY KEY (party, actor),
    CONSTRAINT console_person_actor CHECK (actor ~ '^[0-9a-f]{32}$'),
    CONSTRAINT console_person_called_bound CHECK (length(called) <= 60)
);

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

-- Audit's own. Whoever can write these tables can change what audit shows; Kafka (while it retains) and the parties'
-- own tables contradict it (`causeway audit reconcile`), and the ledger will make every change provable.

CREATE TABLE entry (
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_time timestamptz NOT NULL,
    kind text NOT NULL,
    digest bytea NOT NULL,
    verified boolean NOT NULL,
    problem text,
    -- The place of a message in the streams of its pair, and the chain after it. Null for a record without a number.
    writer text,
    addressee text,
    incarnation uuid,
    lane smallint,
    number bigint,
    chain bytea,
    message_id uuid,
    type text,
    subject text,
    sender text,
    recipient text,
    exercise boolean,
    detail jsonb,
    edge_id uuid,
    commitment bytea,
    -- The content proof of a message: with the record itself it proves to outsiders who signed it.
    key_id text,
    signature bytea,
    tree_size integer,
    leaf_position bigint,
    path bytea,
    salt bytea,
    kept_at timestamptz NOT NULL DEFAULT now(),
    -- Two records at one place are two rows. Neither replaces the other. A topic id belongs to one topic.
    PRIMARY KEY (topic_id, partition, "offset", digest)
);
CREATE INDEX entry_odd ON entry (topic, partition, "offset") WHERE kind IN ('loss', 'conflict', 'not_entitled');
-- What a later release is to read.
CREATE INDEX entry_unread ON entry (topic, topic_id, partition, type, problem)
    WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown');
CREATE INDEX entry_by_loss ON entry (topic, partition) WHERE kind = 'loss';
CREATE INDEX entry_by_place ON entry (writer, addressee, incarnation, lane, number) WHERE number IS NOT NULL;
CREATE INDEX entry_by_subject ON entry (subject);
CREATE INDEX entry_by_message ON entry (message_id);
CREATE INDEX entry_by_edge ON entry (edge_id) WHERE edge_id IS NOT NULL;
-- The view `flow_message`.
CREATE INDEX entry_listed ON entry (recipient, exercise, broker_time, message_id)
    WHERE verified AND kind = 'record'
        AND (edge_id IS NOT NULL OR starts_with(type, 'causeway.referral_passed_on.v'));

-- The decisions of an entry, in the order of the message: what each states, and what is wrong with it. An entry is found
-- by its message's id and digest: the same message again, in another incarnation, has the same decisions. `entitled`:
-- the sender may speak for the origin. `origin` is null where nobody could open the decision. `detail` is what it states.
CREATE TABLE decision (
    message_id uuid NOT NULL,
    digest bytea NOT NULL,
    ordinal smallint NOT NULL,
    referral_id uuid NOT NULL,
    exercise boolean NOT NULL,
    broker_time timestamptz NOT NULL,
    entitled boolean NOT NULL,
    origin text,
    problem text,
    detail jsonb NOT NULL,
    -- Its edges, one element of each array an edge (view `link`). Null for a decision without edges.
    edge_ids uuid[],
    edge_recipients text[],
    edge_purposes text[],
    edge_rules text[],
    edge_commitments bytea[],
    PRIMARY KEY (message_id, digest, ordinal)
);
CREATE INDEX decision_by_referral ON decision (referral_id);
-- The decisions of which a flow is listed: of all origins, and of one.
CREATE INDEX decision_listed ON decision (exercise, broker_time, referral_id) WHERE entitled;
CREATE INDEX decision_by_origin ON decision (origin, exercise, broker_time, referral_id) WHERE entitled;
CREATE INDEX decision_odd ON decision (message_id) WHERE NOT entitled OR problem = 'decision_not_derived';
-- The keys of edges by their origin: what others state on an edge has other keys, and costs a search nothing.
CREATE FUNCTION link_keys(origin text, edge_ids uuid[]) RETURNS uuid[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT array_agg(md5(origin || edge_id::text)::uuid) FROM unnest(edge_ids) AS edge_id
$function$;
REVOKE ALL ON FUNCTION link_keys FROM PUBLIC;
-- The decisions of an origin that state an edge. Without a list of pending keys, which each search would read whole.
CREATE INDEX decision_by_link ON decision USING gin (link_keys(origin, edge_ids)) WITH (fastupdate = off)
    WHERE edge_ids IS NOT NULL;

-- Records that nobody has proven to have written: their number by the day, for each topic and reason. Any principal with
-- the right to write to a topic can write them without end. The first of a day and a reason has an entry, and is counted
-- here too. `digests` adds up the first 60 bits of each record's digest. A process with the service's role can hide here
-- how much of it there was.
CREATE TABLE folded_record (
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    first_digest text NOT NULL,
    count bigint NOT NULL,
    digests numeric NOT NULL,
    PRIMARY KEY (topic, topic_id, partition, day, reason)
);

-- The edges of each decision, as the origin states them. Statements of two origins on one edge are two rows. An edge that
-- moves to another recipient keeps its id: each decision of it has its own commitment.
CREATE VIEW link AS
SELECT d.referral_id, d.exercise, d.origin, d.broker_time AS stated_at, d.edge_ids, l.edge_id, l.recipient, l.purpose,
       coalesce(l.rules, '') AS rules, l.commitment
FROM decision AS d
CROSS JOIN LATERAL unnest(d.edge_ids, d.edge_recipients, d.edge_purposes, d.edge_rules, d.edge_commitments)
    AS l (edge_id, recipient, purpose, rules, commitment)
WHERE d.edge_ids IS NOT NULL;

-- What audit shows: each entry once, but that of decisions once for each of them. `referral_id` is null for all others.
CREATE VIEW statement AS
SELECT e.topic, e.topic_id, e.partition, e."offset", e.broker_time, e.digest, e.verified, e.writer, e.addressee,
       e.incarnation, e.lane, e.number, e.message_id, e.type, e.sender, e.recipient, e.exercise, e.edge_id,
       e.commitment, e.kept_at, e.subject AS entry_subject, d.referral_id, d.ordinal, d.origin,
       coalesce(d.referral_id::text, e.subject) AS subject, coalesce(d.detail, e.detail) AS detail,
       CASE WHEN d.ordinal IS NULL THEN e.problem ELSE d.problem END AS problem,
       CASE WHEN d.entitled THEN 'decision' WHEN NOT d.entitled THEN 'not_entitled' ELSE e.kind END AS kind
FROM entry AS e LEFT JOIN decision AS d ON d.message_id = e.message_id AND d.digest = e.digest;

-- The messages by which a flow is listed for their recipient: those that sent it an edge, and referrals that an agency
-- passed on to it (records without an edge).
CREATE VIEW flow_message AS
SELECT recipient AS party, exercise, broker_time, message_id, subject, sender, recipient, edge_id
FROM entry
WHERE verified AND kind = 'record'
    AND (edge_id IS NOT NULL OR starts_with(type, 'causeway.referral_passed_on.v'));

-- Outcomes of messages, as the instance that a message was addressed to reports them. A taken message without a row is
-- simply applied. Of several rows on one message the last report counts: by its time, its number and the position in it.
CREATE TABLE outcome (
    message_id uuid NOT NULL,
    writer text NOT NULL,
    reported_by text NOT NULL,
    outcome text NOT NULL,
    code text,
    report_id uuid NOT NULL,
    position bigint NOT NULL,
    number bigint NOT NULL,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (message_id, writer, reported_by, report_id, position)
);
CREATE INDEX outcome_by_report ON outcome (report_id);

-- The last acknowledgement of each lane that a pair's addressee gave in each incarnation. `matched_through`: the last
-- number at which an acknowledgement before it had audit's chain. A process that can write it can make messages look
-- applied that were not taken.
CREATE TABLE acknowledgement (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    through bigint NOT NULL,
    chain bytea NOT NULL,
    acked_at timestamptz NOT NULL,
    matched_through bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (writer, addressee, incarnation, lane)
);

-- The last numbers of a pair's streams, as their writer stated them last.
CREATE TABLE stream_end (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid NOT NULL,
    urgent_last bigint NOT NULL,
    ordinary_last bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    PRIMARY KEY (writer, addressee)
);

-- Where the addressee of a pair left a closed incarnation, as its holdings state it.
CREATE TABLE closed_end (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    number bigint NOT NULL,
    chain bytea NOT NULL,
    stated_at timestamptz NOT NULL,
    PRIMARY KEY (writer, addressee, incarnation, lane, number, chain)
);

-- The losses that audit names: an addressee took a number that audit never had, or another message under it. An
-- incarnation that audit still reads is not judged.
CREATE VIEW loss AS
SELECT c.writer, c.addressee, c.incarnation, c.lane,
       CASE WHEN EXISTS (
           SELECT FROM entry AS e
           WHERE (e.writer, e.addressee, e.incarnation, e.lane) = (c.writer, c.addressee, c.incarnation, c.lane)
             AND e.number = c.number
       ) THEN 1 ELSE coalesce((
           SELECT max(e.number) FROM entry AS e
           WHERE (e.writer, e.addressee, e.incarnation, e.lane) = (c.writer, c.addressee, c.incarnation, c.lane)
             AND e.number < c.number
       ), 0) + 1 END AS first,
       c.number AS last, c.stated_at
FROM closed_end AS c
JOIN receive_state AS r ON (r.writer, r.addressee) = (c.writer, c.addressee) AND r.incarnation <> c.incarnation
WHERE NOT EXISTS (
    SELECT FROM entry AS e
    WHERE (e.writer, e.addressee, e.incarnation, e.lane) = (c.writer, c.addressee, c.incarnation, c.lane)
      AND e.number = c.number AND e.chain = c.chain
);

-- Each stream with its topic and partition, its position in Kafka, and the count of numbers that its writer stated and
-- that are missing here. An incarnation that audit has not entered is missing whole; of one that it has left, nothing is.
CREATE VIEW stream_read AS
SELECT 'causeway.inbox.' || r.addressee || '.' || r.writer || '.v1' AS topic, lanes.partition, lanes.topic_id,
       lanes.next_offset,
       CASE WHEN s.incarnation IS NULL OR i.incarnation IS NOT NULL THEN 0
            WHEN s.incarnation IS DISTINCT FROM r.incarnation THEN lanes.last
            ELSE greatest(lanes.last - lanes.through, 0) END AS hole_count
FROM receive_state AS r
LEFT JOIN stream_end AS s ON (s.writer, s.addressee) = (r.writer, r.addressee)
LEFT JOIN incarnation AS i ON (i.writer, i.addressee, i.incarnation) = (s.writer, s.addressee, s.incarnation)
CROSS JOIN LATERAL (VALUES
    (0, r.urgent_topic_id, r.urgent_next_offset, r.urgent_through, s.urgent_last),
    (1, r.ordinary_topic_id, r.ordinary_next_offset, r.ordinary_through, s.ordinary_last)
) AS lanes (partition, topic_id, next_offset, through, last);

-- The ids that each topic has had: a topic that is deleted and created again has another.
CREATE TABLE topic_life (
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_id)
);

-- How the reader stands to each partition, for those who look.
CREATE TABLE partition_state (
    topic text NOT NULL,
    partition integer NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition),
    CONSTRAINT partition_state_known CHECK (state IN ('new', 'reading', 'gap', 'truncated', 'forbidden'))
);

CREATE TABLE reading (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    auditor text NOT NULL,
    purpose text NOT NULL,
    what text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- Who of the organisation has looked, by the opaque name under which what they do is kept.
    actor text
);

-- What the operator's tool has found of the books of all sides (services.audit.ports.Accounts). It adds, as the
-- accountant, and changes nothing; the service reads.
CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kept_at timestamptz NOT NULL DEFAULT now(),
    told jsonb NOT NULL
);

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
    ('flow', 'read', 'auditor', 'any'),
    ('entry', 'read', 'auditor', 'any'),
    ('topic', 'read', 'auditor', 'any')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

-- What the service may touch at all. What the accountant may read, to reconcile the databases.

EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        stream_pair, stream, stream_source, receive_state, incarnation, exception, outcome_open, resync_state,
        operator_line, proof
     TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON segment TO %I', service);
EXECUTE format('GRANT EXECUTE ON FUNCTION make_segment_days, drop_segment_days TO %I', service);
EXECUTE format(
    'GRANT SELECT ON stream_account, outcome_account, receive_account, closed_account, exception_account
     TO %I', accountant);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        lease, document, ending, api_key, console_person, console_link, console_session, idempotency
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        folded_record, acknowledgement, stream_end, partition_state
     TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT ON permitted TO %I', service);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
EXECUTE format(
    'GRANT SELECT ON
        document, entry, decision, folded_record, link, statement, outcome, acknowledgement, stream_end, closed_end,
        loss, topic_life, partition_state, stream_read, reading
     TO %I', accountant);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', accountant);

-- Audit's own are read and added to, never changed or removed. What is found of the books the accountant adds.

EXECUTE format(
    'GRANT SELECT, INSERT ON entry, decision, outcome, closed_end, topic_life, reading TO %I', service);
EXECUTE format('GRANT SELECT ON link, statement, flow_message, loss, stream_read, reconciliation TO %I', service);
EXECUTE format('GRANT EXECUTE ON FUNCTION link_keys TO %I, %I', service, accountant);
EXECUTE format('GRANT INSERT ON reconciliation TO %I', accountant);

END $migration$;

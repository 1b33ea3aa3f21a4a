-- The tables of messaging: own streams, the streams of other instances, exceptions, resync and the operator's list.
-- A row belongs to the instance, never to one party. The comment on a table is its retention rule.
-- Tables whose rows are updated in place have free space in each page, and no index on a column that changes.

-- Both own streams to a peer, without the lanes. A send does not touch this row.
CREATE TABLE stream_pair (
    peer text PRIMARY KEY,
    incarnation uuid NOT NULL,
    -- JSON, as `shared/messaging/store/outgoing.py` writes it: probes, limits, and the former incarnations that are
    -- carried into the present one.
    state text NOT NULL
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

-- The messages that one transaction sends in one stream (shared/messaging/segments.py), without their place in
-- Kafka. Sealed bytes cannot be compressed. The chain is computed from `digests`, without reading `content`.
CREATE TABLE segment (
    day date NOT NULL,
    peer text NOT NULL,
    incarnation uuid NOT NULL,
    lane smallint NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    chain_before bytea NOT NULL,
    message_ids bytea STORAGE EXTERNAL NOT NULL,
    digests bytea STORAGE EXTERNAL NOT NULL,
    proof bytea STORAGE EXTERNAL NOT NULL,
    content bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (peer, incarnation, lane, first, day)
) PARTITION BY LIST (day);
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

-- The content proofs of segments that were read here: records and audit's entries name them. They have no data keys.
CREATE TABLE content_proof (
    proof_id uuid PRIMARY KEY,
    -- `SharedProof` of shared/core/envelope/content_proof.py: signatures and leaf hashes, which cannot be compressed.
    packed bytea STORAGE EXTERNAL NOT NULL
);
COMMENT ON TABLE content_proof IS 'Retention: as long as a row that names it.';

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
    record bytea STORAGE EXTERNAL NOT NULL,
    record_bytes integer NOT NULL GENERATED ALWAYS AS (octet_length(record)) STORED,
    topic_id uuid,
    "offset" bigint NOT NULL,
    broker_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (writer, message_id)
) WITH (fillfactor = 90);
-- The exceptions that can stop a stream are counted and measured in the index alone. Those of one sender's day stop none.
CREATE INDEX exception_stream ON exception (writer, lane) INCLUDE (record_bytes) WHERE code IS DISTINCT FROM 'sender_day_spent';
CREATE INDEX exception_sender_day ON exception (writer) WHERE code = 'sender_day_spent';
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

-- The resync requests of a peer: the one without an answer, and the answered one that may still ask for rows. The days
-- that the latest own request asked for, how far its answer was taken, and how many subjects an hour were sent again.
CREATE TABLE resync_state (
    peer text PRIMARY KEY,
    nonce uuid,
    is_first boolean NOT NULL,
    answered_at timestamptz,
    rows_nonce uuid,
    taken_nonce uuid,
    taken_through text NOT NULL,
    sent_since timestamptz,
    sent_count bigint NOT NULL,
    asked_days text NOT NULL
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
-- A peer's open lines are counted in the index alone.
CREATE INDEX operator_line_open ON operator_line (peer) WHERE closed_at IS NULL;
COMMENT ON TABLE operator_line IS 'Retention: a year after a person closed it.';

-- Accounting, streams read here: taken = rows of `exception` + settled (applied, refused or moved). Closed incarnations
-- end where they were left.
CREATE VIEW receive_account AS
SELECT r.writer, r.addressee, lanes.lane, r.incarnation, lanes.taken, lanes.chain
FROM receive_state AS r
CROSS JOIN LATERAL (
    VALUES (0::smallint, r.urgent_through, r.urgent_chain), (1::smallint, r.ordinary_through, r.ordinary_chain)
) AS lanes (lane, taken, chain)
WHERE r.incarnation IS NOT NULL
UNION ALL
SELECT i.writer, i.addressee, lanes.lane, i.incarnation, lanes.taken, lanes.chain
FROM incarnation AS i
CROSS JOIN LATERAL (
    VALUES (0::smallint, i.urgent_through, i.urgent_chain), (1::smallint, i.ordinary_through, i.ordinary_chain)
) AS lanes (lane, taken, chain)
WHERE lanes.taken IS NOT NULL;

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
        SELECT FROM stream_pair AS t
        CROSS JOIN LATERAL jsonb_array_elements(t.state::jsonb -> 'sources') AS source
        JOIN segment AS s ON s.peer = t.peer AND s.incarnation = (source ->> 'incarnation')::uuid
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
DO $grants$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I, %I', service, accountant);
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON stream_pair, stream, receive_state, incarnation, exception,
         outcome_open, resync_state, operator_line TO %I', service);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON segment TO %I', service);
    EXECUTE format('GRANT SELECT, INSERT ON content_proof TO %I', service);
    EXECUTE format('GRANT EXECUTE ON FUNCTION make_segment_days, drop_segment_days TO %I', service);
    EXECUTE format('GRANT SELECT ON receive_account TO %I', accountant);
    -- Own streams: numbered (`last`) = taken (`acked`) + in flight. Of these the peer holds those of `outcome_open`.
    EXECUTE format('GRANT SELECT (peer, incarnation, lane, last, chain, acked) ON stream TO %I', accountant);
    EXECUTE format('GRANT SELECT (peer, message_id, outcome, code) ON outcome_open TO %I', accountant);
    EXECUTE format('GRANT SELECT (kind, peer, subject, act, closed_at) ON operator_line TO %I', accountant);
    EXECUTE format(
        'GRANT SELECT (writer, incarnation, lane, number, message_id, outcome, code) ON exception TO %I', accountant);
END $grants$;

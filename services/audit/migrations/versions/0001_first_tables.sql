-- Audit's own tables. A client that can write them can change the answers of audit. Kafka (while it retains) and the
-- parties' own tables contradict it (`causeway audit reconcile`). The ledger will make every change provable.

CREATE TABLE entry (
    topic_id uuid NOT NULL,
    "offset" bigint NOT NULL,
    broker_time timestamptz NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    -- The place of a message in the streams of its pair, and the chain after it. Null for a record without a number.
    number bigint, incarnation uuid, writer text, addressee text,
    chain bytea,
    lane smallint,
    verified boolean NOT NULL,
    exercise boolean,
    partition integer NOT NULL, topic text NOT NULL, kind text NOT NULL, digest bytea NOT NULL,
    problem text,
    message_id uuid, type text, subject text, sender text, recipient text,
    detail jsonb,
    edge_id uuid,
    -- The act of a message on a track (shared/messaging/tracks.py): the recipient and the writer hold it.
    act uuid,
    commitment bytea,
    -- The content proof of a message (`content_proof`): together with the record it proves the signer to outsiders.
    proof_id uuid,
    salt bytea,
    -- Two records at one place are two rows. Neither replaces the other. A topic id belongs to one topic.
    PRIMARY KEY (topic_id, partition, "offset", digest) WITH (fillfactor = 100)
);
-- An index has no free space where rows come in its order.
CREATE INDEX entry_odd ON entry (topic, partition, "offset") WHERE kind IN ('loss', 'conflict', 'not_entitled');
-- Records that a later release must read.
CREATE INDEX entry_unread ON entry (topic, topic_id, partition, type, problem)
    WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown');
CREATE INDEX entry_by_loss ON entry (topic, partition) WHERE kind = 'loss';
CREATE INDEX entry_by_place ON entry (writer, addressee, incarnation, lane, number) WITH (fillfactor = 100)
    WHERE number IS NOT NULL;
CREATE INDEX entry_by_message ON entry (message_id) WITH (fillfactor = 100);
CREATE INDEX entry_by_edge ON entry (edge_id) WHERE edge_id IS NOT NULL;
-- The view `flow_message`.
CREATE INDEX entry_listed ON entry (recipient, exercise, broker_time, message_id) WITH (fillfactor = 100)
    WHERE verified AND kind = 'record' AND (edge_id IS NOT NULL OR starts_with(type, 'causeway.referral_passed_on.v'));

-- The entries of a flow by their speaker: the party that a fact names, or the sender; of an unproven record, the writer
-- of its stream. So records of others slow no page of a flow. `relates`: 1 for messages that begin a subject, 2 for
-- others that make a party concerned with it. The entries of decisions are found by their decisions.
CREATE VIEW flow_entry AS SELECT *,
    CASE WHEN verified THEN coalesce(detail->>'party', detail->>'origin', sender)
         ELSE coalesce(writer, 'unproven') END AS speaker,
    CASE WHEN NOT verified OR problem IS NOT DISTINCT FROM 'statement_not_yours' THEN 0
         WHEN type ~ '^causeway\.(referral_offered|notice_issued|preservation_requested)\.v' THEN 1
         WHEN type ~ '^causeway\.(referral_passed_on|claim_granted)\.v' THEN 2 ELSE 0 END AS relates
FROM entry WHERE kind <> 'decision';
CREATE INDEX entry_by_subject ON entry (subject,
    (CASE WHEN verified THEN coalesce(detail->>'party', detail->>'origin', sender)
          ELSE coalesce(writer, 'unproven') END),
    (CASE WHEN NOT verified OR problem IS NOT DISTINCT FROM 'statement_not_yours' THEN 0
          WHEN type ~ '^causeway\.(referral_offered|notice_issued|preservation_requested)\.v' THEN 1
          WHEN type ~ '^causeway\.(referral_passed_on|claim_granted)\.v' THEN 2 ELSE 0 END), broker_time
) WHERE kind <> 'decision';

-- The decisions of an entry, in the order of the message, with the problem of each. An entry is found by its message's
-- id and digest: the same message in another incarnation has the same decisions. `entitled`: the sender may speak for
-- the origin. `origin` is null if the decision could not be opened; `sender` is the stating instance.
-- `detail` is the content of the decision, as stored text (shared/platform/database/stored_text.py). `disposition` is null if only the referral's id could be read.
CREATE TABLE decision (
    message_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    broker_time timestamptz NOT NULL,
    ordinal smallint NOT NULL,
    exercise boolean NOT NULL,
    entitled boolean NOT NULL,
    digest bytea NOT NULL,
    sender text NOT NULL,
    origin text,
    problem text,
    disposition text,
    detail bytea NOT NULL,
    -- Its edges, one element of each array an edge (view `flow_edge`). Null for a decision without edges.
    edge_ids uuid[], edge_recipients text[], edge_purposes text[], edge_rules text[], edge_commitments bytea[],
    PRIMARY KEY (message_id, digest, ordinal) WITH (fillfactor = 100)
);
CREATE INDEX decision_by_referral ON decision (referral_id, coalesce(origin, sender), broker_time) WITH (fillfactor = 100);
-- The decisions by which a flow is listed: of all origins, and of one.
CREATE INDEX decision_listed ON decision (exercise, broker_time, referral_id) WITH (fillfactor = 100) WHERE entitled;
CREATE INDEX decision_by_origin ON decision (origin, exercise, broker_time, referral_id) WITH (fillfactor = 100) WHERE entitled;
CREATE INDEX decision_odd ON decision (message_id) WHERE NOT entitled OR problem = 'decision_not_derived';
-- The keys of edges by their origin. Statements of others on an edge have other keys, and do not slow a search.
CREATE FUNCTION flow_edge_keys(origin text, edge_ids uuid[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT array_agg(('x' || left(md5(origin || edge_id::text), 16))::bit(64)::bigint) FROM unnest(edge_ids) AS edge_id
$function$;
REVOKE ALL ON FUNCTION flow_edge_keys FROM PUBLIC;
-- The decisions of an origin that state an edge. Without a list of pending keys, which each search would read whole.
CREATE INDEX decision_by_flow_edge ON decision USING gin (flow_edge_keys(origin, edge_ids)) WITH (fastupdate = off)
    WHERE edge_ids IS NOT NULL;

-- Records without a proven writer: their number by day, topic and reason. Any principal with the right to write to a
-- topic can write them without end. The first of a day and a reason has an entry, and is counted here too. `digests` is
-- the sum of the first 60 bits of each record's digest. A process with the service's role can falsify these numbers.
CREATE TABLE folded_record (
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    first_offset bigint NOT NULL, last_offset bigint NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    first_digest text NOT NULL,
    count bigint NOT NULL,
    digests numeric NOT NULL,
    PRIMARY KEY (topic, topic_id, partition, day, reason)
);

-- The edges of each decision, as the origin states them. Statements of two origins on one edge are two rows. An edge
-- that moves to another recipient keeps its id: each decision of it has its own commitment.
CREATE VIEW flow_edge AS
SELECT d.referral_id, d.exercise, d.origin, d.broker_time AS stated_at, d.edge_ids, l.edge_id, l.recipient, l.purpose,
       coalesce(l.rules, '') AS rules, l.commitment
FROM decision AS d
CROSS JOIN LATERAL unnest(d.edge_ids, d.edge_recipients, d.edge_purposes, d.edge_rules, d.edge_commitments)
    AS l (edge_id, recipient, purpose, rules, commitment)
WHERE d.edge_ids IS NOT NULL;

-- The entries that audit shows: each once, or once for each of its decisions. `referral_id` is null without a decision.
-- `decided` is the content of a decision.
CREATE VIEW statement AS
SELECT e.topic, e.topic_id, e.partition, e."offset", e.broker_time, e.digest, e.verified, e.writer, e.addressee,
       e.incarnation, e.lane, e.number, e.message_id, e.type, e.sender, e.recipient, e.exercise, e.edge_id,
       e.commitment, e.kept_at, e.subject AS entry_subject, d.referral_id, d.ordinal,
       coalesce(d.origin, e.detail->>'origin') AS origin, coalesce(d.referral_id::text, e.subject) AS subject, e.detail,
       d.detail AS decided,
       CASE WHEN d.ordinal IS NULL THEN e.problem ELSE d.problem END AS problem,
       CASE WHEN d.entitled THEN 'decision' WHEN NOT d.entitled THEN 'not_entitled' ELSE e.kind END AS kind
FROM entry AS e LEFT JOIN decision AS d ON e.verified AND d.message_id = e.message_id AND d.digest = e.digest;

-- The messages by which a flow is listed for their recipient: those that sent it an edge, and referrals that an agency
-- passed on to it (records without an edge).
CREATE VIEW flow_message AS
SELECT recipient AS party, exercise, broker_time, message_id, subject, sender, recipient, edge_id
FROM entry
WHERE verified AND kind = 'record' AND (edge_id IS NOT NULL OR starts_with(type, 'causeway.referral_passed_on.v'));

-- Outcomes of messages, as reported by the addressee of each message. A taken message without a row is applied. Of
-- several rows on one message, the last report counts: by its time, its number and the position in it.
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

-- The last numbers of a pair's streams, from their writer's last statement.
CREATE TABLE stream_end (
    writer text NOT NULL,
    addressee text NOT NULL,
    incarnation uuid NOT NULL,
    urgent_last bigint NOT NULL,
    ordinary_last bigint NOT NULL,
    stated_at timestamptz NOT NULL,
    PRIMARY KEY (writer, addressee)
);

-- The last number that a pair's addressee took in each closed incarnation, as its holdings state it.
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

-- The incarnations that their writer has stated to audit. An addressee can invent others without end.
CREATE VIEW known_incarnation AS
SELECT writer, addressee, incarnation FROM entry WHERE number IS NOT NULL
UNION ALL SELECT writer, addressee, incarnation FROM stream_end;

-- The losses that audit names: an addressee took a number that audit never had, or another message under it. An
-- incarnation that audit still reads is not judged. One that is not `known` only its addressee has stated.
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
       c.number AS last, c.stated_at,
       (c.writer, c.addressee, c.incarnation) IN (SELECT * FROM known_incarnation) AS known
FROM closed_end AS c
JOIN receive_state AS r ON (r.writer, r.addressee) = (c.writer, c.addressee) AND r.incarnation <> c.incarnation
WHERE NOT EXISTS (
    SELECT FROM entry AS e
    WHERE (e.writer, e.addressee, e.incarnation, e.lane) = (c.writer, c.addressee, c.incarnation, c.lane)
      AND e.number = c.number AND e.chain = c.chain
);

-- Each stream with its topic and partition, its position in Kafka, and the count of numbers that its writer stated and
-- that are missing here. An incarnation that audit has not entered is missing whole; of one that it has left, nothing
-- is.
CREATE VIEW stream_read AS
SELECT 'causeway.inbox.' || r.addressee || '.' || r.writer || '.v1' AS topic, lanes.partition, lanes.topic_id,
       lanes.next_offset,
       CASE WHEN s.incarnation IS NULL OR i.incarnation IS NOT NULL THEN 0
            WHEN s.incarnation IS DISTINCT FROM r.incarnation THEN lanes.last
            ELSE greatest(lanes.last - lanes.through, 0) END AS missing_count
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

-- The reading status of each partition, for auditors and operators.
CREATE TABLE partition_state (
    topic text NOT NULL,
    partition integer NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition),
    CONSTRAINT partition_state_known CHECK (state IN ('new', 'reading', 'gap', 'truncated', 'forbidden'))
);

-- Accesses to the audit log: a row for each person, object, purpose and hour (UTC), with the first time and the count.
CREATE TABLE audit_access_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    auditor text NOT NULL,
    purpose text NOT NULL,
    accessed_object text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- The person of the organisation, by their opaque name.
    actor text,
    count bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX audit_access_log_of ON audit_access_log (auditor, purpose,
    date_trunc('hour', at AT TIME ZONE 'UTC'), actor, accessed_object) NULLS NOT DISTINCT;

-- The reconciliations of all ledgers by the operator's tool (services.audit.domain.shown.Accounts). The tool adds rows
-- as the accountant and changes none; the service reads them.
CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kept_at timestamptz NOT NULL DEFAULT now(),
    report jsonb NOT NULL
);

-- Permissions by role, action and state: a second, independent copy of the service's table of permissions. The
-- isolation tests compare the two.
INSERT INTO permission (resource, action, role, state) VALUES
    ('flow', 'read', 'auditor', 'any'), ('entry', 'read', 'auditor', 'any'), ('topic', 'read', 'auditor', 'any');

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE',
    'folded_record, acknowledgement, stream_end, partition_state');
SELECT pg_temp.grant_accountant('SELECT',
    'document, entry, decision, folded_record, flow_edge, statement, outcome, acknowledgement, stream_end, closed_end,
     loss, content_proof, topic_life, partition_state, stream_read, audit_access_log, reconciliation');
-- Rows of audit's own tables are read and added, never changed or removed. An access is counted. The accountant adds
-- reconciliations.
SELECT pg_temp.grant_service('SELECT, INSERT', 'entry, decision, outcome, closed_end, topic_life, audit_access_log');
SELECT pg_temp.grant_service('UPDATE (count)', 'audit_access_log'), pg_temp.grant_service('SELECT',
       'flow_edge, flow_entry, statement, flow_message, known_incarnation, loss, stream_read, reconciliation');
SELECT pg_temp.grant_service('EXECUTE', 'FUNCTION flow_edge_keys'), pg_temp.grant_accountant('INSERT', 'reconciliation'),
       pg_temp.grant_accountant('EXECUTE', 'FUNCTION flow_edge_keys');

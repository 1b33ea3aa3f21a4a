-- What every instance has, and audit's own, which its service role may only append to.
-- Written out here on purpose: what a revision makes must not change with the code, and the database's copy of the
-- permissions must not be derived from the other. Role names follow the database's.
DO $migration$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN

-- What every instance has. What sends and takes numbered messages has tables for them; audit does neither.

-- Which process alone reads all topics (`reader`): the service's role alone takes it.
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
    previous_offset bigint,
    broker_time timestamptz NOT NULL,
    kind text NOT NULL,
    digest text NOT NULL,
    verified boolean NOT NULL,
    problem text,
    message_id uuid,
    type text,
    subject text,
    sender text,
    recipient text,
    recipient_instance text,
    exercise boolean,
    epoch uuid,
    sequence bigint,
    -- On the first message of an epoch: which came before it, and its last number; null where its sender does not know.
    previous_epoch uuid,
    previous_last bigint,
    key_id text,
    detail jsonb,
    edge_id uuid,
    commitment text,
    -- The sender's batch proof as it came: its path leads from the digest to the root. What a leaf of the coming log
    -- needs, so that nothing is rewritten for it.
    batch_root bytea,
    batch_signature bytea,
    batch_index bigint,
    batch_size bigint,
    batch_path bytea,
    kept_at timestamptz NOT NULL DEFAULT now(),
    -- Another record where one was kept stands beside it: neither replaces the other.
    PRIMARY KEY (topic, topic_id, partition, "offset", digest)
);
CREATE INDEX entry_odd ON entry (topic, partition, "offset") WHERE kind IN ('loss', 'conflict', 'not_entitled');
-- What a later release is to read.
CREATE INDEX entry_unread ON entry (topic, topic_id, partition, type, problem)
    WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown');
CREATE INDEX entry_by_loss ON entry (topic, partition) WHERE kind = 'loss';
CREATE INDEX entry_by_subject ON entry (subject);
CREATE INDEX entry_by_message ON entry (message_id);
-- The message that a `message_parked` fact is about.
CREATE INDEX entry_by_parked ON entry ((detail ->> 'message_id')) WHERE kind = 'parked';
CREATE INDEX entry_by_edge ON entry (edge_id) WHERE edge_id IS NOT NULL;
-- What says where an epoch has ended.
CREATE INDEX entry_ending ON entry (previous_epoch) WHERE previous_epoch IS NOT NULL OR kind = 'epoch';

-- What has no entry each time: of each day of a topic's life, and each reason, how much it was. Proven marks (reason
-- `marks`) say what is, and the next say it again. What is nobody's, unreadable or without a proof that holds, anybody
-- can write without end who may write to the topic; the first of it has an entry, and is counted here too. `digests`
-- adds up the first 60 bits of each one's digest. Whoever can write this can have marks overlooked that some instance
-- said (what they led to is in `pair_taken`), and how much junk came.
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

-- An origin's word on its own edges: another's on the same edge stands beside it, and replaces nothing.
CREATE TABLE link (
    edge_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    rules text NOT NULL,
    commitment text NOT NULL,
    -- An edge whose recipient moves is decided afresh under its own id, and commits to what was decided then.
    PRIMARY KEY (edge_id, origin, commitment)
);
CREATE INDEX link_by_referral ON link (referral_id);

-- Whose a flow is: of each decision that was stated its origin and whom it was sent to, by that origin's word, with the
-- time at which that origin stated first that it decided. '' where audit could not open who the origin is.
CREATE TABLE flow_party (
    party text NOT NULL,
    exercise boolean NOT NULL,
    decided_at timestamptz NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    PRIMARY KEY (referral_id, origin, party)
);
CREATE INDEX flow_party_listed ON flow_party (party, exercise, decided_at, referral_id);
CREATE INDEX flow_party_filed ON flow_party (exercise, decided_at, referral_id) WHERE party = origin;

-- What receipts say of messages, entry by entry: two of one receipt may be about one message, in other bytes.
CREATE TABLE receipted (
    message_id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    position bigint NOT NULL,
    by text NOT NULL,
    digest text NOT NULL,
    outcome text NOT NULL,
    code text,
    edge_id uuid,
    revision integer,
    -- The copy that was judged, as its recipient names it: which life of the topic, where it lies, the broker's time.
    topic_id uuid,
    "offset" bigint NOT NULL,
    broker_time timestamptz NOT NULL,
    PRIMARY KEY (message_id, receipt_id, position)
);
CREATE INDEX receipted_by_receipt ON receipted (receipt_id);

-- `digest` is that of all of the record before `next_offset`: where the log has another there, it has lost its tail.
CREATE TABLE cursor (
    topic text NOT NULL,
    topic_id uuid NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    digest text,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_id, partition)
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

-- Which numbers were seen, those that nobody holds any more, and the highest that is known to have been given.
-- `instance` gives the numbers, `topic` is where they come. Whoever can write this can have messages kept too long or
-- dropped too early by their senders, not forged.
CREATE TABLE pair_taken (
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    instance text NOT NULL,
    topic text NOT NULL,
    taken int8multirange NOT NULL,
    gone int8multirange NOT NULL,
    known bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    open boolean GENERATED ALWAYS AS (taken + gone <> int8multirange(int8range(1, known + 1))) STORED,
    PRIMARY KEY (sender, recipient, epoch)
);
CREATE INDEX pair_taken_by_instance ON pair_taken (instance, changed_at);
CREATE INDEX pair_taken_open ON pair_taken (topic) WHERE open;
CREATE INDEX pair_taken_open_by_instance ON pair_taken (instance, changed_at) WHERE open;

-- Whom the numbers were told, until which change of them, and who asks for them.
CREATE TABLE telling (
    instance text PRIMARY KEY,
    asked uuid,
    told_through timestamptz,
    told_at timestamptz
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
        lease, document, ending, api_key, console_person, console_link, console_session, idempotency
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        folded_record, cursor, partition_state, pair_taken, telling
     TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT ON permitted TO %I', service);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
EXECUTE format(
    'GRANT SELECT ON
        document, entry, folded_record, link, receipted, cursor, partition_state, pair_taken, reading
     TO %I', accountant);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', accountant);

-- Audit's own are read and added to, never changed or removed. What is found of the books the accountant adds.

EXECUTE format('GRANT SELECT, INSERT ON entry, link, flow_party, receipted, reading TO %I', service);
EXECUTE format('GRANT SELECT ON reconciliation TO %I', service);
EXECUTE format('GRANT INSERT ON reconciliation TO %I', accountant);

END $migration$;

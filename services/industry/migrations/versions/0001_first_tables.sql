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

-- Who may do what in which state: a second, independent copy of the service's table of permissions, held equal to it
-- by the isolation tests.
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

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'notice, notice_location, preservation_location');
SELECT pg_temp.grant_service('SELECT, UPDATE', 'location_turn');
SELECT pg_temp.isolate_by_state('notice', 'notice');
-- Tokens of places end with the record that they are of.
SELECT pg_temp.isolate('notice_location', 'notice', added => 'apply', removed => 'acknowledge_withdrawal apply');
SELECT pg_temp.isolate('preservation_location', 'preservation', added => 'apply', removed => 'apply');
SELECT pg_temp.let_count('notice', 'notice_id, party, state');

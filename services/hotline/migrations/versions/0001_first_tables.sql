-- The hotline's own: offers made to it. Whoever can write this table can hide an offer from the hotline; origin and
-- audit still show that it was sent and taken.

CREATE TABLE offer (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    origin text NOT NULL,
    purpose text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
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
        CASE WHEN priority = 'p0_child_at_risk' AND state IN ('offered', 'accepted', 'in_part', 'claimable')
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
    PRIMARY KEY (referral_id, party),
    CONSTRAINT offer_said_bound CHECK (octet_length(said::text) <= 1048576),
    CONSTRAINT offer_content_bound CHECK (octet_length(content) <= 33000),
    CONSTRAINT offer_evidence_bound CHECK (octet_length(evidence) <= 131072)
) WITH (toast_tuple_target = 512);
-- Ciphertext lies out of line: a row is changed when it is numbered and by each act, and this is not written again.
-- Trying to compress it would cost CPU time only.
ALTER TABLE offer
    ALTER COLUMN content SET STORAGE EXTERNAL,
    ALTER COLUMN evidence SET STORAGE EXTERNAL;
-- The list, whole and by what it is looked through for: state, priority, who sent it, period.
CREATE INDEX offer_by_place ON offer (party, place) WHERE place IS NOT NULL;
CREATE INDEX offer_by_state ON offer (party, state, place) WHERE place IS NOT NULL;
CREATE INDEX offer_at_risk ON offer (party, place) WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX offer_at_risk_by_state ON offer (party, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX offer_from ON offer (party, origin, place) WHERE place IS NOT NULL;
CREATE INDEX offer_from_by_state ON offer (party, origin, state, place) WHERE place IS NOT NULL;
CREATE INDEX offer_at_risk_from ON offer (party, origin, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX offer_at_risk_from_by_state ON offer (party, origin, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX offer_by_time ON offer (party, received_at) WHERE arrival IS NOT NULL;
-- Written so that no look for places takes it for one of theirs.
CREATE INDEX offer_attention ON offer (party, received_at, referral_id)
    WHERE place - 4611686018427387904 >= 0;
-- What may be claimed, or was handed over.
CREATE INDEX offer_of_transfers ON offer (party, changed_at) WHERE state IN ('claimable', 'transferred');
-- What retention still has to look at, by class and time.
CREATE INDEX offer_kept ON offer (retention, received_at) WHERE wrapped_key IS NOT NULL;
-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX offer_taken_back ON offer (changed_at) WHERE state = 'withdrawn';
CREATE INDEX offer_kept_until ON offer ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

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
    ('offer', 'read', 'analyst machine viewer',
     'offered accepted declined in_part closed claimable claimed transferred gone withdrawn '
     || 'withdrawal_acknowledged record_erased'),
    ('offer', 'accept', 'analyst machine', 'offered'),
    ('offer', 'decline', 'analyst machine', 'offered'),
    ('offer', 'assess', 'analyst machine', 'accepted in_part'),
    ('offer', 'claim', 'analyst machine', 'claimable'),
    ('offer', 'ask', 'analyst machine', 'offered accepted in_part'),
    ('offer', 'dispute', 'analyst machine', 'offered accepted in_part'),
    ('offer', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('offer', 'apply', 'service',
     'offered accepted declined in_part closed claimable claimed transferred gone withdrawn '
     || 'withdrawal_acknowledged record_erased'),
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

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'offer');
SELECT pg_temp.isolate_by_state('offer', 'offer');
SELECT pg_temp.let_count('offer', 'referral_id, party, state');

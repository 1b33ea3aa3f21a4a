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

-- Who may do what in which state: a second, independent copy of the service's table of permissions, held equal to it
-- by the isolation tests.
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

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'case_file, case_edge, case_act, hold');
SELECT pg_temp.grant_service('SELECT, INSERT', 'case_lease, case_passed, case_passing');
SELECT pg_temp.grant_service('UPDATE (refused)', 'case_passing');
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'case_contact');
SELECT pg_temp.grant_service('SELECT, INSERT, DELETE', 'case_location');
SELECT pg_temp.isolate_by_state('case_file', 'case');
SELECT pg_temp.isolate('case_edge', 'case', added => 'submit apply', changed => 'acts');
SELECT pg_temp.isolate('case_act', 'case', added => 'acts');
SELECT pg_temp.isolate('case_lease', 'case', added => 'acts');
SELECT pg_temp.isolate('case_passed', 'case', added => 'apply');
SELECT pg_temp.isolate('case_passing', 'case', added => 'refer apply', changed => 'apply');
SELECT pg_temp.isolate('case_contact', 'case', added => 'apply', changed => 'acts');
SELECT pg_temp.isolate('case_location', 'case', added => 'apply', removed => 'acts');
SELECT pg_temp.isolate('hold', 'case', added => 'acts', changed => 'acts');
SELECT pg_temp.let_count('case_file', 'referral_id, party, state');
SELECT pg_temp.let_count('case_edge', 'referral_id, party, purpose');

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
    PRIMARY KEY (referral_id, party, n, version, token)
);
-- A token belongs to one party and one version.
CREATE INDEX case_location_of ON case_location (token, referral_id);

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

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'case_act, hold');
SELECT pg_temp.grant_service('SELECT, INSERT', 'case_lease, case_passed, case_passing');
SELECT pg_temp.grant_service('UPDATE (refused)', 'case_passing');
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'case_contact');
SELECT pg_temp.grant_service('SELECT, INSERT, DELETE', 'case_location');
SELECT pg_temp.isolate('case_act', 'case', added => 'acts');
SELECT pg_temp.isolate('case_lease', 'case', added => 'acts');
SELECT pg_temp.isolate('case_passed', 'case', added => 'apply');
SELECT pg_temp.isolate('case_passing', 'case', added => 'refer apply', changed => 'apply');
SELECT pg_temp.isolate('case_contact', 'case', added => 'apply', changed => 'acts');
SELECT pg_temp.isolate('case_location', 'case', added => 'apply', removed => 'acts');
SELECT pg_temp.isolate('hold', 'case', added => 'acts', changed => 'acts');

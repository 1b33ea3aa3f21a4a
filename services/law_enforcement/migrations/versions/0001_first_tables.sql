-- The words of each act of the agency: a timeline in which nothing is overwritten.
CREATE TABLE case_act (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_act_details_bound CHECK (octet_length(details::text) <= 4096)
);

-- Leases of cases by officers. Rows are added and never changed: for each case the one with the highest number counts.
-- `actor` is null if the case was released to no officer. A process that can write this table can keep an officer from
-- a case for one term, or let two officers work on it.
CREATE TABLE case_lease (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    actor text,
    expires_at timestamptz NOT NULL,
    assigned_by text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_lease_number CHECK (number > 0),
    CONSTRAINT case_lease_term CHECK (expires_at <= at + interval '12 hours')
);
-- The cases that an officer has claimed.
CREATE INDEX case_lease_by_actor ON case_lease (party, actor, expires_at);

-- Cases from other agencies: the sender, the reason, and the history of its acts in codes.
CREATE TABLE case_referral_in (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    referred_by text NOT NULL,
    reason text NOT NULL,
    history jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_referral_in_history_bound CHECK (octet_length(history::text) <= 65536)
);

-- The messages by which a case was passed on to another agency, and its state before: it returns if all of them are
-- refused. A process that can write this table can make a case return that another agency has, or prevent its return.
CREATE TABLE case_referral_out (
    message_id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL,
    edge_id uuid NOT NULL,
    previous_state text NOT NULL,
    is_refused boolean NOT NULL DEFAULT false
);
CREATE INDEX case_referral_out_of_case ON case_referral_out (referral_id, party, edge_id);

-- Contact suggestions of origins: agencies that have accepted the same referral or location, once for each case and
-- agency. `attention_since`: the time since when it needs a person of the agency.
CREATE TABLE case_contact (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    agency text NOT NULL,
    reason text NOT NULL,
    other_referral_id uuid NOT NULL,
    at timestamptz NOT NULL,
    attention_since timestamptz,
    PRIMARY KEY (referral_id, party, agency)
);
CREATE INDEX case_contact_open ON case_contact (party, attention_since, referral_id) WHERE attention_since IS NOT NULL;

-- Tokens of the locations of an agency's cases, made with its instance's key. A process that can write this table can
-- prevent that cases of one location are shown together, or that an officer is warned of a hold there.
CREATE TABLE case_location (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    -- A token belongs to one party and one version.
    PRIMARY KEY (token, referral_id, n)
);
CREATE INDEX case_location_of ON case_location (referral_id) WITH (fillfactor = 100);

-- Holds: an agency asks the origin of a case to delay its notices. The id is that of the act that placed the hold.
-- `requested_until` is the end that the agency requests, `expires_at` the end that the origin has stated. A process
-- that can write this table can misstate a hold here; the origin's own table has the true state.
CREATE TABLE hold (
    hold_id uuid NOT NULL,
    party text NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    expires_at timestamptz,
    held_notice_count smallint,
    issued_notice_count smallint,
    issued_at timestamptz,
    ended_at timestamptz,
    -- The time since when it needs a person: it did not end by a release, and the agency has not acted since.
    attention_since timestamptz,
    PRIMARY KEY (hold_id, party),
    CONSTRAINT hold_state CHECK (
        state IN ('asked', 'active', 'too_late', 'released', 'expired', 'overridden', 'lapsed'))
);
CREATE INDEX hold_by_party ON hold (party, requested_at DESC, hold_id);
CREATE INDEX hold_of_case ON hold (referral_id, party);
CREATE INDEX hold_attention ON hold (party, attention_since, hold_id) WHERE attention_since IS NOT NULL;

-- Permitted acts by role and state: a second, independent copy of the service's permission table. The isolation tests
-- compare the two.
INSERT INTO permission (resource, action, role, state)
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
SELECT pg_temp.grant_service('SELECT, INSERT', 'case_lease, case_referral_in, case_referral_out');
SELECT pg_temp.grant_service('UPDATE (is_refused)', 'case_referral_out');
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'case_contact');
SELECT pg_temp.grant_service('SELECT, INSERT, DELETE', 'case_location');
SELECT pg_temp.isolate('case_act', 'case', added => 'acts');
SELECT pg_temp.isolate('case_lease', 'case', added => 'acts');
SELECT pg_temp.isolate('case_referral_in', 'case', added => 'apply');
SELECT pg_temp.isolate('case_referral_out', 'case', added => 'refer apply', changed => 'apply');
SELECT pg_temp.isolate('case_contact', 'case', added => 'apply', changed => 'acts');
SELECT pg_temp.isolate('case_location', 'case', added => 'apply', removed => 'acts');
SELECT pg_temp.isolate('hold', 'case', added => 'acts', changed => 'acts');

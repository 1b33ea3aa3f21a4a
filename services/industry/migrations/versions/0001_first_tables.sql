-- Locations of notice items and of preservation requests, as keyed tokens. Without the key, rows show which items are
-- at the same location, but not which location. There is one row for each form version that the writer knew, and only
-- rows of the same version are compared. A process that can write these tables can hide that a request matches a
-- notice.
CREATE TABLE notice_location (
    notice_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (notice_id, party, n, version) WITH (fillfactor = 100)
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

-- Removals and preservation requests at the same location run one after the other: each locks the rows of its tokens.
-- Removals share the lock with each other. All rows exist from the start and hold no data. A process that can lock a
-- row can prevent that a request or an answer is stored; only the service can.
CREATE TABLE location_lock_slot (
    slot smallint PRIMARY KEY
);
INSERT INTO location_lock_slot (slot) SELECT generate_series(0, 32767);

-- Permitted acts by role and state: a second, independent copy of the service's permission table. The isolation tests
-- compare the two.
INSERT INTO permission (resource, action, role, state)
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
    -- Two persons are needed, because another party may hold the referral.
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

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'notice_location, preservation_location');
SELECT pg_temp.grant_service('SELECT, UPDATE', 'location_lock_slot');
-- Tokens of locations are removed with the record.
SELECT pg_temp.isolate('notice_location', 'notice', added => 'apply', removed => 'acknowledge_withdrawal apply');
SELECT pg_temp.isolate('preservation_location', 'preservation', added => 'apply', removed => 'apply');

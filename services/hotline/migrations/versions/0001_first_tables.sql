-- The permitted acts by role and state: a second, independent copy of the service's permissions. The isolation tests
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
    -- Acts of two persons, on a referral that an agency holds.
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

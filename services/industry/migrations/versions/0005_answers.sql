DO $migration$ BEGIN

-- Items have rounds: room for what is said of each, and a state for what is there again.
ALTER TABLE notice DROP CONSTRAINT notice_said_bound;
ALTER TABLE notice ADD CONSTRAINT notice_said_bound CHECK (octet_length(said::text) <= 65536);
ALTER TABLE notice ALTER COLUMN place SET EXPRESSION AS (
    CASE WHEN priority = 'p0_child_at_risk' AND state IN ('issued', 'acknowledged', 'in_part', 'reappeared')
         THEN arrival + 4611686018427387904 ELSE arrival END);

-- What is there again needs a person of its origin.
ALTER TABLE edge ALTER COLUMN attention SET EXPRESSION AS (
    CASE WHEN taken_back OR state NOT IN ('emitted', 'waiting') THEN NULL
         WHEN state = 'waiting' OR unread THEN decided_at
         WHEN receipt IS NOT NULL THEN receipted_at
         WHEN answer IN ('declined', 'rejected', 'not_ours', 'reappeared') THEN answered_at
         WHEN rank = 0 AND answer IN ('none', 'acknowledged', 'in_part', 'accepted', 'ongoing') THEN decided_at
    END);

INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, cell.action, one_role, one_state
FROM (VALUES
    ('notice', 'read', 'analyst machine viewer', 'reappeared'),
    ('notice', 'answer', 'analyst machine', 'reappeared'),
    ('notice', 'not_ours', 'analyst machine', 'reappeared'),
    ('notice', 'reinstate', 'analyst machine', 'in_part actioned reappeared'),
    ('notice', 'apply', 'service', 'reappeared'),
    ('referral', 'check', 'analyst machine', 'routed')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

END $migration$;

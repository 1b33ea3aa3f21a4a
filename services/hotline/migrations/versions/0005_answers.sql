DO $migration$ BEGIN

-- Offers are answered: the numbers of their items, and room for what is said of each.
ALTER TABLE offer ADD COLUMN numbers smallint[] NOT NULL DEFAULT '{}';
ALTER TABLE offer DROP CONSTRAINT offer_said_bound;
ALTER TABLE offer ADD CONSTRAINT offer_said_bound CHECK (octet_length(said::text) <= 16384);
ALTER TABLE offer ALTER COLUMN place SET EXPRESSION AS (
    CASE WHEN priority = 'p0_child_at_risk' AND state IN ('offered', 'accepted', 'in_part')
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
    ('offer', 'read', 'analyst machine viewer', 'accepted declined in_part closed'),
    ('offer', 'accept', 'analyst machine', 'offered'),
    ('offer', 'decline', 'analyst machine', 'offered'),
    ('offer', 'assess', 'analyst machine', 'accepted in_part'),
    ('offer', 'apply', 'service', 'accepted declined in_part closed'),
    ('referral', 'check', 'analyst machine', 'routed')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

END $migration$;

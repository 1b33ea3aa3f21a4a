-- An origin lets hotlines that have its referral claim it; exactly one does.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

ALTER TABLE referral DROP CONSTRAINT referral_state;
ALTER TABLE referral ADD CONSTRAINT referral_state CHECK (state IN (
    'routed', 'unroutable', 'orphaned', 'unknown_code', 'unreleased', 'dropped', 'transferred', 'withdrawn'));

-- Who may claim a referral, since when, why, and since when one of them has it. Whoever can write this table can let a
-- hotline claim what it was sent and not asked to take over.
CREATE TABLE transfer (
    referral_id uuid NOT NULL,
    recipient text NOT NULL,
    party text NOT NULL,
    reason text NOT NULL,
    offered_at timestamptz NOT NULL,
    claimed_at timestamptz,
    PRIMARY KEY (referral_id, recipient)
);
-- One has it, whatever else is true.
CREATE UNIQUE INDEX transfer_claimed ON transfer (referral_id) WHERE claimed_at IS NOT NULL;

INSERT INTO permitted (resource, action, role, state)
SELECT 'referral', cell.action, one_role, one_state
FROM (VALUES
    ('transfer', 'analyst machine', 'routed orphaned'),
    ('read', 'analyst machine viewer', 'transferred'),
    ('apply', 'service', 'transferred'),
    ('check', 'analyst machine', 'transferred'),
    ('withdraw', 'analyst machine', 'transferred')
) AS cell(action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role, string_to_table(cell.states, ' ') AS one_state;

ALTER TABLE transfer ENABLE ROW LEVEL SECURITY;
ALTER TABLE transfer FORCE ROW LEVEL SECURITY;
CREATE POLICY transfer_seen ON transfer FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY transfer_added ON transfer FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'transfer'
    )
);
CREATE POLICY transfer_changed ON transfer FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('transfer', 'apply')
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON transfer TO %I', service);

INSERT INTO permitted (resource, action, role, state)
SELECT 'offer', cell.action, one_role, one_state
FROM (VALUES
    ('read', 'analyst machine viewer', 'claimable claimed transferred gone'),
    ('apply', 'service', 'claimable claimed transferred gone'),
    ('claim', 'analyst machine', 'claimable')
) AS cell(action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role, string_to_table(cell.states, ' ') AS one_state;
ALTER TABLE offer ALTER COLUMN place SET EXPRESSION AS (
    CASE WHEN priority = 'p0_child_at_risk' AND state IN ('offered', 'accepted', 'in_part', 'claimable')
         THEN arrival + 4611686018427387904 ELSE arrival END);

END $migration$;

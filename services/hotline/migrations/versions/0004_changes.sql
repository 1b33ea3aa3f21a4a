-- Amendments: what a referral said before, which revision of an edge was sent last, and, of what others sent, which
-- revision stands.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- The highest number that any of its items ever had; when and how its present revision came to be.
ALTER TABLE referral
    ADD COLUMN numbered smallint,
    ADD COLUMN amended_at timestamptz,
    ADD COLUMN cause text NOT NULL DEFAULT 'filed',
    ADD CONSTRAINT referral_cause CHECK (cause IN ('filed', 'amended', 'rerouted'));

-- The revision under which its recipient was sent it last, of a notice its own; of its items those that it has no more.
ALTER TABLE edge
    ADD COLUMN revision integer NOT NULL DEFAULT 1,
    ADD COLUMN gone smallint[] NOT NULL DEFAULT '{}';

-- What a referral said before it was amended, under the key of its record: whoever erases that erases this too. Whoever
-- can write this table can misstate what was said before, not what was sent: audit has the decisions of all revisions.
CREATE TABLE referral_revision (
    referral_id uuid NOT NULL,
    revision integer NOT NULL,
    party text NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL,
    body_sha256 text NOT NULL,
    facts jsonb NOT NULL,
    decision jsonb NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (referral_id, revision),
    CONSTRAINT referral_revision_content_bound CHECK (octet_length(content) <= 33000)
) WITH (toast_tuple_target = 512);
ALTER TABLE referral_revision ALTER COLUMN content SET STORAGE EXTERNAL;

INSERT INTO permitted (resource, action, role, state)
SELECT 'referral', cell.action, one_role, one_state
FROM (VALUES ('amend', 'routed unroutable orphaned unknown_code'), ('reroute', 'routed')) AS cell(action, states),
    string_to_table('analyst machine', ' ') AS one_role, string_to_table(cell.states, ' ') AS one_state;

-- Whoever amends adds edges, and clocks for them; by its policies nobody changes or removes what was said before.
ALTER POLICY edge_added ON edge WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'release', 'amend', 'reroute', 'apply')
    )
);
ALTER POLICY clocked_added ON clocked WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'release', 'amend', 'reroute', 'apply')
    )
);
ALTER TABLE referral_revision ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral_revision FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_revision_seen ON referral_revision FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY referral_revision_added ON referral_revision FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('amend', 'reroute')
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON referral_revision TO %I', service);

ALTER TABLE offer ADD COLUMN revision integer NOT NULL DEFAULT 1;

END $migration$;

-- An origin tells agencies that have accepted the same referral, or the same place, of each other.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- Referrals that an agency has accepted since they were looked at, or that were found to name a known place. A row for
-- each time, so that none is taken away with another. Whoever can write this table can have agencies not told.
CREATE TABLE contact_due (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL
);
-- Which agency was told of which: of each of its cases once of each other agency.
CREATE TABLE contact (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    other text NOT NULL,
    ground text NOT NULL,
    theirs uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, agency, other)
);

ALTER TABLE contact_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_due FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_due_seen ON contact_due FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY contact_due_added ON contact_due FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
CREATE POLICY contact_due_removed ON contact_due FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_seen ON contact FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY contact_added ON contact FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON contact_due TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON contact TO %I', service);

END $migration$;

-- Agencies that have accepted the same referral, or the same place, as origins have told of them; and where an agency's
-- own cases lie.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- Of each case an agency is told of each other agency once. `attention`: since when it needs a person of the agency.
CREATE TABLE case_contact (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    agency text NOT NULL,
    ground text NOT NULL,
    theirs uuid NOT NULL,
    at timestamptz NOT NULL,
    attention timestamptz,
    PRIMARY KEY (referral_id, party, agency)
);
CREATE INDEX case_contact_attention ON case_contact (party, attention, referral_id) WHERE attention IS NOT NULL;

ALTER TABLE case_contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_contact FORCE ROW LEVEL SECURITY;
CREATE POLICY case_contact_seen ON case_contact FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_contact_added ON case_contact FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_contact_changed ON case_contact FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON case_contact TO %I', service);

-- Tokens of the places of an agency's cases, by its instance's key. Whoever can write this table can have cases of one
-- place not shown together, or an officer not warned that a hold stands at one.
CREATE TABLE case_location (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    token bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, party, n, token)
);
CREATE INDEX case_location_of ON case_location (party, token, referral_id);
CREATE INDEX case_location_made ON case_location (made_at);

ALTER TABLE case_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_location FORCE ROW LEVEL SECURITY;
CREATE POLICY case_location_seen ON case_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_location_added ON case_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_location_removed ON case_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON case_location TO %I', service);

END $migration$;

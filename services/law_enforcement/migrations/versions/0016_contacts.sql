-- Agencies that have accepted the same referral, or the same place, as origins have told of them.
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

END $migration$;

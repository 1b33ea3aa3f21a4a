-- An amendment of what was passed on goes by a message of its own: the case comes back once each of them was refused.
-- Whoever can write this can have a case that another agency has seem to be the first one's again, or keep it from that.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

ALTER TABLE case_passing ADD COLUMN refused boolean NOT NULL DEFAULT false;
CREATE INDEX case_passing_of_case ON case_passing (referral_id, party, edge);

CREATE POLICY case_passing_amended ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_changed ON case_passing FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);
EXECUTE format('GRANT UPDATE (refused) ON case_passing TO %I', service);

END $migration$;

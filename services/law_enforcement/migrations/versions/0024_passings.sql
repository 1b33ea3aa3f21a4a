-- By which message a case was passed on to another agency, and as what it stood: so it is known which came back. Whoever
-- can write this can have a case that another agency has seem to be the first one's again.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

CREATE TABLE case_passing (
    message_id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL,
    edge uuid NOT NULL,
    stood text NOT NULL
);

CREATE INDEX case_file_came_back ON case_file (party, changed_at) WHERE said ? 'stands';

ALTER TABLE case_passing ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passing FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passing_seen ON case_passing FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_added ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'refer'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'refer' AND p.role = current_setting('causeway.role', true)
    )
);
EXECUTE format('GRANT SELECT, INSERT ON case_passing TO %I', service);

END $migration$;

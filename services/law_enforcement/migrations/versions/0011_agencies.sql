-- Work inside and between agencies: which officer has a case, and cases that go from one agency to another.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- Rows are added and never changed: of each case the one with the highest number counts. `actor` is null where it was
-- handed over to nobody. Whoever can write this table can keep an officer from a case for a term, or let two work on it.
CREATE TABLE case_lease (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    actor text,
    until timestamptz NOT NULL,
    by_actor text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_lease_term CHECK (until <= at + interval '12 hours')
);

INSERT INTO permitted (resource, action, role, state)
SELECT 'case', one_action, one_role, one_state
FROM string_to_table('claim hand_over', ' ') AS one_action,
    string_to_table('analyst machine', ' ') AS one_role,
    string_to_table('offered accepted ongoing', ' ') AS one_state;

ALTER TABLE case_lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_lease FORCE ROW LEVEL SECURITY;
CREATE POLICY case_lease_seen ON case_lease FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_lease_added ON case_lease FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
EXECUTE format('GRANT SELECT, INSERT ON case_lease TO %I', service);

-- What it takes to pass a case on to another agency: the edge as it came, what it was decided by, and its salt.
ALTER TABLE case_edge
    ADD COLUMN edge_id uuid,
    ADD COLUMN decision jsonb,
    ADD COLUMN salt text,
    ADD COLUMN spelt text;

-- How a case came from another agency, and what that one had made of it, in codes.
CREATE TABLE case_passed (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    by_party text NOT NULL,
    because text NOT NULL,
    history jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_passed_history CHECK (octet_length(history::text) <= 65536)
);

INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, cell.action, one_role, one_state
FROM (VALUES
    ('case', 'refer', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'read', 'analyst machine viewer', 'referred'),
    ('case', 'apply', 'service', 'referred')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

ALTER TABLE case_passed ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passed FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passed_seen ON case_passed FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passed_added ON case_passed FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
EXECUTE format('GRANT SELECT, INSERT ON case_passed TO %I', service);

END $migration$;

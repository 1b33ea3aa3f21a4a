-- What agencies have passed on and have again stands on the list of its origin. Whoever has forgotten of whom it was told
-- is told again.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

CREATE INDEX edge_came_back ON edge (party, rank, answered_at) WHERE answer_detail ? 'stands';

CREATE POLICY contact_removed ON contact FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
EXECUTE format('GRANT DELETE ON contact TO %I', service);

END $migration$;

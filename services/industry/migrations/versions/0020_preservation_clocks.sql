-- A preservation is to clocks an edge of an agency and a provider: under one instrument, begun by what was asked. Both are
-- empty of every other. Whoever can write these can have a preservation seem to end early or late.
DO $migration$
BEGIN

ALTER TABLE clocked ADD COLUMN instrument text NOT NULL DEFAULT '', ADD COLUMN begins text NOT NULL DEFAULT '';

-- What has ended long ago is erased, the oldest first.
CREATE INDEX preservation_by_key ON preservation (received_at) WHERE wrapped_key IS NOT NULL;

-- Tokens of places end with the record that they are of.
CREATE POLICY preservation_location_removed ON preservation_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('apply')
    )
);

CREATE POLICY notice_location_removed ON notice_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('acknowledge_withdrawal', 'apply')
    )
);

END $migration$;

-- A preservation is to clocks an edge of an agency and a provider: under one instrument, begun by what was asked. Both are
-- empty of every other. Whoever can write these can have a preservation seem to end early or late.
DO $migration$
BEGIN

ALTER TABLE clocked ADD COLUMN instrument text NOT NULL DEFAULT '', ADD COLUMN begins text NOT NULL DEFAULT '';

-- What has ended long ago is erased, the oldest first.
CREATE INDEX preservation_by_key ON preservation (received_at) WHERE wrapped_key IS NOT NULL;

-- Whoever looks for what they have claimed finds it by their own claims.
CREATE INDEX case_lease_by_actor ON case_lease (party, actor, until);

END $migration$;

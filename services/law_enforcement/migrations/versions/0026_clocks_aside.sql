-- Why the clocks of an edge cannot be reckoned: a code, null where they can. It is looked at again at `look_at`, as all are.
-- Whoever can write it can have an alarm raised, or none.
DO $migration$
BEGIN

ALTER TABLE clocked ADD COLUMN aside text;
CREATE INDEX clocked_aside ON clocked (edge_id) WHERE aside IS NOT NULL;

END $migration$;

-- What had vanished before its notice came is counted by numbers and times; which item it was, and why it was held, are
-- none of it.
DO $migration$
DECLARE
    accountant text := current_database() || '_accountant';
BEGIN

-- Of how many items an answer says that they were gone already.
ALTER TABLE answer_act ADD COLUMN already_gone smallint GENERATED ALWAYS AS (
    jsonb_array_length(jsonb_path_query_array(said, '$.items[*] ? (@.action == "already_gone")'))) STORED;

EXECUTE format('GRANT SELECT (already_gone) ON answer_act TO %I', accountant);
EXECUTE format('GRANT SELECT (decided_at) ON edge TO %I', accountant);
EXECUTE format('GRANT SELECT (referral_id, placed_at, state) ON hold TO %I', accountant);
EXECUTE format('CREATE POLICY hold_counted ON hold FOR SELECT TO %I USING (true)', accountant);

END $migration$;

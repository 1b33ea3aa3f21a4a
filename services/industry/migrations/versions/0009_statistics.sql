-- What a month came to is counted from times, answers and coded outcomes, whoever's they are; words of items and
-- references are none of it.

DO $migration$
DECLARE
    accountant text := current_database() || '_accountant';
BEGIN

ALTER TABLE answer_act
    ADD COLUMN child_identified text GENERATED ALWAYS AS (said ->> 'child_identified') STORED,
    ADD COLUMN child_safeguarded text GENERATED ALWAYS AS (said ->> 'child_safeguarded') STORED;

EXECUTE format('GRANT SELECT (exercise, accepted_at) ON referral TO %I', accountant);
EXECUTE format(
    'GRANT SELECT (subject, sender, code, answer, at, child_identified, child_safeguarded) ON answer_act TO %I', accountant);
EXECUTE format('GRANT SELECT (edge_id, party, begun_at) ON clocked TO %I', accountant);
EXECUTE format('CREATE POLICY clocked_counted ON clocked FOR SELECT TO %I USING (true)', accountant);

END $migration$;

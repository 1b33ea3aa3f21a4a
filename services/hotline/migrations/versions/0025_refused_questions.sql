-- What a question or dispute is told by, and that its origin's instance has refused it: then it was never raised there.
DO $migration$
BEGIN

ALTER TABLE question ADD COLUMN message_id uuid;
ALTER TABLE question DROP CONSTRAINT question_state;
ALTER TABLE question ADD CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused'));
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE own AND state = 'open';

END $migration$;

-- What a question or dispute is told by, and that its origin's instance has refused it: then it was never raised there.
-- The same of the acts of a preservation; `code` and `refused_at` are of the newest that was refused.
DO $migration$
BEGIN

ALTER TABLE question ADD COLUMN message_id uuid;
ALTER TABLE question DROP CONSTRAINT question_state;
ALTER TABLE question ADD CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused'));
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE own AND state = 'open';

ALTER TABLE preservation_act ADD COLUMN message_id uuid;
CREATE UNIQUE INDEX preservation_act_message ON preservation_act (message_id) WHERE message_id IS NOT NULL;
ALTER TABLE preservation ADD COLUMN code text, ADD COLUMN refused_at timestamptz;
CREATE INDEX preservation_refused ON preservation (party, refused_at, preservation_id) WHERE refused_at IS NOT NULL;

END $migration$;

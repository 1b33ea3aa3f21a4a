-- What recipients ask their origins and contest, and what these answer: a row at whoever raised it, one at whoever is told.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- `own`: its party has raised it; else it is to answer. `told_by` is the id by which messages name the subject. `about`,
-- `said` are codes and item numbers. Whoever can write this table can hide a question or misstate its answer here.
CREATE TABLE question (
    question_id uuid NOT NULL,
    party text NOT NULL,
    told_by uuid NOT NULL,
    counterpart text NOT NULL,
    own boolean NOT NULL,
    number integer NOT NULL,
    kind text NOT NULL,
    subject uuid NOT NULL,
    about smallint[] NOT NULL,
    said jsonb NOT NULL,
    revision integer NOT NULL,
    raised_at timestamptz NOT NULL,
    due timestamptz,
    state text NOT NULL DEFAULT 'open',
    -- When it was raised, or came to its state.
    since timestamptz NOT NULL,
    -- Whoever has raised it has gone on since it was answered.
    seen boolean NOT NULL DEFAULT false,
    -- That of its referral at the origin, for the list of what needs a person.
    rank smallint NOT NULL,
    PRIMARY KEY (party, told_by, counterpart, own, number),
    CONSTRAINT question_kind CHECK (kind IN ('question', 'dispute')),
    CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed')),
    CONSTRAINT question_said_bound CHECK (octet_length(said::text) <= 8192)
);
CREATE INDEX question_by_party ON question (party, raised_at DESC, question_id DESC);
CREATE INDEX question_of_subject ON question (party, subject);
CREATE INDEX question_asked ON question (party, rank, since, question_id) WHERE NOT own;
CREATE INDEX question_own ON question (party, since, question_id) WHERE own AND NOT seen;
CREATE INDEX question_due ON question (due) WHERE own AND state = 'open';

INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, one_action, one_role, one_state
FROM (VALUES
    ('offer', 'ask dispute', 'analyst machine', 'offered accepted in_part'),
    ('referral', 'reply uphold', 'analyst machine', 'routed transferred')
) AS cell(resource, actions, roles, states),
    string_to_table(cell.actions, ' ') AS one_action,
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

ALTER TABLE question ENABLE ROW LEVEL SECURITY;
ALTER TABLE question FORCE ROW LEVEL SECURITY;
CREATE POLICY question_seen ON question FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY question_added ON question FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY question_changed ON question FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON question TO %I', service);

END $migration$;

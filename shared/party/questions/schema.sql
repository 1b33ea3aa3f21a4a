-- What recipients ask their origins and contest, and what these answer: a row at whoever raised it, one at whoever is
-- told. `own`: its party has raised it; else it is to answer. `told_by` is the id by which messages name the subject.
-- `about`, `said` are codes and item numbers. Whoever can write this table can hide a question or misstate its answer
-- here.
CREATE TABLE question (
    question_id uuid NOT NULL,
    party text NOT NULL,
    told_by uuid NOT NULL,
    counterpart text NOT NULL,
    own boolean NOT NULL,
    number integer NOT NULL,
    -- What it is told by, where it is its party's own. Where its origin's instance refuses that, it was never raised.
    message_id uuid,
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
    CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused')),
    CONSTRAINT question_said_bound CHECK (octet_length(said::text) <= 8192)
);
CREATE INDEX question_by_party ON question (party, raised_at DESC, question_id DESC);
CREATE INDEX question_of_subject ON question (party, subject);
CREATE INDEX question_asked ON question (party, rank, since, question_id) WHERE NOT own;
CREATE INDEX question_own ON question (party, since, question_id) WHERE own AND NOT seen;
CREATE INDEX question_due ON question (due) WHERE own AND state = 'open';
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE own AND state = 'open';

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'question');
SELECT pg_temp.isolate('question', NULL, added => 'acts', changed => 'acts');

-- Questions and disputes of recipients, and the answers of origins: one row at the recipient and one at the origin.
-- `is_own`: the party of the row has raised it; otherwise the party is to answer it. `message_subject` is the id by
-- which messages name the subject. `item_numbers` and `details` hold codes and item numbers. A process that can write
-- this table can hide a question or misstate its answer here.
CREATE TABLE question (
    question_id uuid NOT NULL,
    party text NOT NULL,
    message_subject uuid NOT NULL,
    counterpart text NOT NULL,
    is_own boolean NOT NULL,
    number integer NOT NULL,
    -- The message that raises it, in rows with `is_own`. If the origin's instance refuses it, nothing was raised.
    message_id uuid,
    kind text NOT NULL,
    subject uuid NOT NULL,
    item_numbers smallint[] NOT NULL,
    details jsonb NOT NULL,
    revision integer NOT NULL,
    raised_at timestamptz NOT NULL,
    due timestamptz,
    state text NOT NULL DEFAULT 'open',
    -- The time when it was raised, or when its state changed last.
    since timestamptz NOT NULL,
    -- The party that raised it has acted since the answer.
    is_read boolean NOT NULL DEFAULT false,
    -- The rank of its referral at the origin, for the attention list.
    priority_rank smallint NOT NULL,
    PRIMARY KEY (party, message_subject, counterpart, is_own, number),
    CONSTRAINT question_kind CHECK (kind IN ('question', 'dispute')),
    CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused')),
    CONSTRAINT question_details_bound CHECK (octet_length(details::text) <= 8192)
);
CREATE INDEX question_by_party ON question (party, raised_at DESC, question_id DESC);
CREATE INDEX question_of_subject ON question (party, subject);
CREATE INDEX question_asked ON question (party, priority_rank, since, question_id) WHERE NOT is_own;
CREATE INDEX question_own ON question (party, since, question_id) WHERE is_own AND NOT is_read;
CREATE INDEX question_due ON question (due) WHERE is_own AND state = 'open';
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE is_own AND state = 'open';

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'question');
SELECT pg_temp.isolate('question', NULL, added => 'acts', changed => 'acts');

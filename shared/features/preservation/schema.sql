-- Preservation requests of agencies to providers, at both sides. A process that can write these tables can hide a
-- request or misstate an answer. The other side and audit still show the messages that were sent and received.

-- `offered` is the agency's track, `answer` the provider's track, `state` the state that both see. `acts` counts the
-- party's own acts, `last_counterpart_act` is the number of the other side's newest act. `is_requester`: the party is
-- the agency. The sealed part has a key of its own; deleting the key erases it.
CREATE TABLE preservation (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    counterpart text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    offered text NOT NULL,
    answer text NOT NULL,
    kind text NOT NULL,
    instrument text NOT NULL,
    term text,
    until date,
    acts integer NOT NULL,
    last_counterpart_act integer NOT NULL,
    is_requester boolean NOT NULL,
    content bytea NOT NULL,
    wrapped_key bytea,
    asked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- The code of the party's newest act that the other side's instance has refused. The act has no effect there.
    code text,
    refused_at timestamptz,
    PRIMARY KEY (preservation_id, party),
    CONSTRAINT preservation_content_bound CHECK (octet_length(content) <= 33000)
);
CREATE INDEX preservation_by_time ON preservation (party, received_at, preservation_id);
CREATE INDEX preservation_by_state ON preservation (party, state, received_at, preservation_id);
-- Requests that wait for the provider's answer, the oldest first.
CREATE INDEX preservation_unanswered ON preservation (party, asked_at, preservation_id) WHERE state = 'requested';
CREATE INDEX preservation_refused ON preservation (party, refused_at, preservation_id) WHERE refused_at IS NOT NULL;
-- Preservations that ended long ago are erased, the oldest first.
CREATE INDEX preservation_by_key ON preservation (received_at) WHERE wrapped_key IS NOT NULL;

-- Each act of either side, with its words. Rows are never changed or removed.
CREATE TABLE preservation_act (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    track text NOT NULL,
    number integer NOT NULL,
    -- The message that carries it to the other side, for the party's own acts.
    message_id uuid,
    name text NOT NULL,
    state text NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL,
    -- The order in which they arrived.
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (preservation_id, party, track, number),
    CONSTRAINT preservation_act_details_bound CHECK (octet_length(details::text) <= 4096)
);
CREATE UNIQUE INDEX preservation_act_message ON preservation_act (message_id) WHERE message_id IS NOT NULL;

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'preservation, preservation_act');
SELECT pg_temp.isolate_by_state('preservation', 'preservation');
SELECT pg_temp.isolate('preservation_act', 'preservation', added => 'writes');
SELECT pg_temp.let_count('preservation', 'preservation_id, party, state');

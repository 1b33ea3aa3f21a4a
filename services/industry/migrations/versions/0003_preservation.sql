-- What agencies ask providers to keep, at the provider; isolated by party, role, action and state as all else is.
-- Written out here on purpose, as the first tables are. Whoever can write these tables can hide a request or misstate
-- what was answered; the other side and audit still show what was sent and receipted.
DO $migration$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN

-- `offered` is the agency's track, `answer` the provider's, `state` what both are shown. `acts` counts the party's own
-- acts, `told` is the number of the other side's newest; `asks`: it is the agency. What is sealed lies under a key of its
-- own: deleting the key erases it.
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
    told integer NOT NULL,
    asks boolean NOT NULL,
    content bytea NOT NULL,
    wrapped_key bytea,
    asked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- Its number in the party's feed, given once it was committed: lists go by it, and so miss nothing.
    arrival bigint,
    PRIMARY KEY (preservation_id, party),
    CONSTRAINT preservation_content_bound CHECK (octet_length(content) <= 33000)
);
CREATE INDEX preservation_by_arrival ON preservation (party, arrival) WHERE arrival IS NOT NULL;
CREATE INDEX preservation_by_state ON preservation (party, state, arrival) WHERE arrival IS NOT NULL;
-- What waits for its provider's answer, the oldest first.
CREATE INDEX preservation_unanswered ON preservation (party, asked_at, preservation_id) WHERE state = 'requested';

-- Each act of either side as it was said. Nothing is changed, and none removed.
CREATE TABLE preservation_act (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    track text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    said jsonb NOT NULL,
    at timestamptz NOT NULL,
    -- In which order they came.
    kept bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (preservation_id, party, track, number),
    CONSTRAINT preservation_act_said_bound CHECK (octet_length(said::text) <= 4096)
);

-- Where the items of notices lie, and what agencies want kept, by keyed tokens: whoever has the rows and not the key can
-- tell which lie at one place, and not at which. Whoever can write these can keep a request from being seen to match.
CREATE TABLE notice_location (
    notice_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (notice_id, party, n)
);
CREATE INDEX notice_location_token ON notice_location (party, token);

CREATE TABLE preservation_location (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (preservation_id, party, token)
);
CREATE INDEX preservation_location_token ON preservation_location (party, token);

INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, cell.action, one_role, one_state
FROM (VALUES
    ('preservation', 'read', 'analyst machine viewer',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused ended withdrawn withdrawal_acknowledged'),
    ('preservation', 'answer', 'analyst machine', 'requested'),
    ('preservation', 'answer_extension', 'analyst machine', 'extension_requested'),
    ('preservation', 'end', 'analyst machine', 'preserved extension_requested extended extension_refused'),
    ('preservation', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('preservation', 'apply', 'service',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused ended withdrawn withdrawal_acknowledged')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

ALTER TABLE preservation ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_seen ON preservation FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_added ON preservation FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY preservation_changed ON preservation FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND preservation.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'preservation')
);

ALTER TABLE preservation_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation_act FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_act_seen ON preservation_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_act_added ON preservation_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action <> 'read'
    )
);

ALTER TABLE notice_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE notice_location FORCE ROW LEVEL SECURITY;
CREATE POLICY notice_location_seen ON notice_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY notice_location_added ON notice_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'notice' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'apply'
    )
);

ALTER TABLE preservation_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation_location FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_location_seen ON preservation_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_location_added ON preservation_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action = 'apply'
    )
);

-- Where no policy lets a row be changed or removed, none is.
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON preservation, preservation_act, notice_location, preservation_location TO %I', service);
EXECUTE format('GRANT SELECT (preservation_id, party, state) ON preservation TO %I', accountant);
EXECUTE format('CREATE POLICY preservation_counted ON preservation FOR SELECT TO %I USING (true)', accountant);

END $migration$;

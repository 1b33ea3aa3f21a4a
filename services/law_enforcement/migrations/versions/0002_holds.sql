-- What an agency asks of the origins of its cases: that no notice be issued yet.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- Known by the id of the act that placed it. `asked_until` is what the agency asks for, `not_after` what the origin has
-- said that it holds for. Whoever can write this table can misstate a hold here; the origin's own table says what it holds.
CREATE TABLE hold (
    hold_id uuid NOT NULL,
    party text NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    not_after timestamptz,
    held smallint,
    issued smallint,
    issued_at timestamptz,
    ended_at timestamptz,
    -- Since when it needs a person: it has ended otherwise than by its agency, which has done nothing since.
    attention timestamptz,
    PRIMARY KEY (hold_id, party),
    CONSTRAINT hold_state CHECK (
        state IN ('asked', 'active', 'too_late', 'released', 'expired', 'overridden', 'lapsed'))
);
CREATE INDEX hold_by_party ON hold (party, asked_at DESC, hold_id);
CREATE INDEX hold_of_case ON hold (referral_id, party);
CREATE INDEX hold_attention ON hold (party, attention, hold_id) WHERE attention IS NOT NULL;

INSERT INTO permitted (resource, action, role, state)
SELECT 'case', one_action, one_role, one_state
FROM string_to_table('place_hold extend_hold release_hold no_objection', ' ') AS one_action,
    string_to_table('analyst machine', ' ') AS one_role,
    string_to_table('offered accepted ongoing', ' ') AS one_state;

ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_seen ON hold FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_added ON hold FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY hold_changed ON hold FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON hold TO %I', service);

END $migration$;

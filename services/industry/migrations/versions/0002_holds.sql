-- Notices of windowed rules are planned before they are issued, and agencies may hold them meanwhile.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- Of a planned edge: when its window ends, and in which slot it is issued as things stand.
ALTER TABLE edge ADD COLUMN window_ends timestamptz, ADD COLUMN issue_at timestamptz;
ALTER TABLE edge DROP CONSTRAINT edge_state, DROP CONSTRAINT edge_waiting;
ALTER TABLE edge
    ADD CONSTRAINT edge_state CHECK (state IN ('emitted', 'waiting', 'planned', 'superseded', 'dropped')),
    ADD CONSTRAINT edge_waiting CHECK ((state IN ('waiting', 'planned')) <= (message_id IS NULL)),
    ADD CONSTRAINT edge_planned CHECK ((state = 'planned') <= (window_ends IS NOT NULL AND issue_at IS NOT NULL));
CREATE INDEX edge_planned ON edge (issue_at) WHERE state = 'planned';
CREATE INDEX edge_planned_of ON edge (referral_id) WHERE state = 'planned';

-- What an agency asks of this origin for one referral. Known by the id of the act that placed it. Whoever can write
-- this table can have a notice issued that an agency holds, or kept back that nobody does: the agency is told of either.
CREATE TABLE hold (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    placed_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    state text NOT NULL,
    ended_at timestamptz,
    exercise boolean NOT NULL,
    -- That of its referral, for the list of what needs a person.
    rank smallint NOT NULL,
    PRIMARY KEY (referral_id, agency, hold_id),
    CONSTRAINT hold_state CHECK (
        state IN ('active', 'too_late', 'released', 'expired', 'overridden', 'lapsed')),
    CONSTRAINT hold_ended CHECK ((state IN ('active', 'too_late')) = (ended_at IS NULL))
);
CREATE INDEX hold_active ON hold (referral_id) WHERE state = 'active';
CREATE INDEX hold_expired ON hold (party, rank, ended_at, hold_id) WHERE state = 'expired';

-- The acts of a hold as they came, none overwritten: an override needs two of different actors.
CREATE TABLE hold_act (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    hold_id uuid NOT NULL,
    party text NOT NULL,
    act text NOT NULL,
    at timestamptz NOT NULL,
    not_after timestamptz,
    basis text,
    actor text,
    CONSTRAINT hold_act_kind CHECK (act IN (
        'placed', 'too_late', 'extended', 'released', 'expired', 'lapsed', 'override_proposed', 'overridden'))
);
CREATE INDEX hold_act_of ON hold_act (referral_id, agency, hold_id);

-- The agencies that have looked at a referral and do not hold it.
CREATE TABLE no_objection (
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    party text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, agency)
);

-- A second person's two acts on a referral that is somebody else's to hold.
INSERT INTO permitted (resource, action, role, state)
SELECT 'referral', one_action, 'analyst', one_state
FROM string_to_table('propose_override confirm_override', ' ') AS one_action,
    string_to_table('routed unroutable orphaned unknown_code', ' ') AS one_state;

ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold FORCE ROW LEVEL SECURITY;
ALTER TABLE hold_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold_act FORCE ROW LEVEL SECURITY;
ALTER TABLE no_objection ENABLE ROW LEVEL SECURITY;
ALTER TABLE no_objection FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_seen ON hold FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_added ON hold FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY hold_changed ON hold FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_act_seen ON hold_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_act_added ON hold_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY no_objection_seen ON no_objection FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY no_objection_added ON no_objection FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY no_objection_removed ON no_objection FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON hold TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON hold_act TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON no_objection TO %I', service);

END $migration$;

-- Erasures that hold. Role names follow the database's.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- How far the journal of erasures, a file beside the key-encryption key, is applied to this database: so many of its
-- lines, and the digest of the last of them. A restored database has an older place, and nothing is served from it
-- before the rest is applied. Whoever can write it can have erasures of a restored backup left out; the journal itself
-- lies elsewhere.
CREATE TABLE erasure_place (
    one boolean PRIMARY KEY DEFAULT true,
    lines bigint NOT NULL,
    digest text NOT NULL,
    CONSTRAINT erasure_place_one CHECK (one)
);
INSERT INTO erasure_place (lines, digest) VALUES (0, '');

-- What was erased, of whom. What comes again of it, from a log that is read anew after a restore, is erased as it comes.
CREATE TABLE erased_record (
    subject uuid NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (subject, party)
);
ALTER TABLE erased_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE erased_record FORCE ROW LEVEL SECURITY;
CREATE POLICY erased_record_seen ON erased_record FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY erased_record_added ON erased_record FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);

-- Which of a party's own referrals name one place. Tokens are made and looked up by a step of its own, after each
-- referral was answered; `location_place` is how far it has come in the party's feed, for each version of the form.
-- Whoever can write these tables can have links missing or invented; what was sent does not depend on them.
CREATE TABLE location_token (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, referral_id, n, version)
);
CREATE INDEX location_token_of ON location_token (party, version, token, referral_id);
CREATE INDEX location_token_made ON location_token (made_at);
CREATE TABLE relation (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    other uuid NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, referral_id, other, kind)
);
CREATE INDEX relation_of ON relation (party, other);
CREATE TABLE location_place (
    party text NOT NULL,
    version integer NOT NULL,
    arrival bigint NOT NULL,
    PRIMARY KEY (party, version)
);
ALTER TABLE location_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE location_token FORCE ROW LEVEL SECURITY;
CREATE POLICY location_token_seen ON location_token FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY location_token_added ON location_token FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);
ALTER TABLE relation ENABLE ROW LEVEL SECURITY;
ALTER TABLE relation FORCE ROW LEVEL SECURITY;
CREATE POLICY relation_seen ON relation FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'referral' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY relation_added ON relation FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'apply'
);

-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX offer_taken_back ON offer (changed_at) WHERE state = 'withdrawn';
CREATE INDEX offer_kept_until ON offer ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

INSERT INTO permitted (resource, action, role, state) VALUES
    ('offer', 'read', 'analyst', 'record_erased'),
    ('offer', 'read', 'machine', 'record_erased'),
    ('offer', 'read', 'viewer', 'record_erased'),
    ('offer', 'apply', 'service', 'record_erased');

EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON location_token, relation TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON location_place TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON erased_record TO %I', service);

END $migration$;

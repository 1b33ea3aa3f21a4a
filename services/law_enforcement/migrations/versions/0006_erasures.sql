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

-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX case_file_taken_back ON case_file (changed_at) WHERE state = 'withdrawn';
CREATE INDEX case_file_kept_until ON case_file ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

INSERT INTO permitted (resource, action, role, state) VALUES
    ('case', 'read', 'analyst', 'record_erased'),
    ('case', 'read', 'machine', 'record_erased'),
    ('case', 'read', 'viewer', 'record_erased'),
    ('case', 'apply', 'service', 'record_erased');

EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON erased_record TO %I', service);

END $migration$;

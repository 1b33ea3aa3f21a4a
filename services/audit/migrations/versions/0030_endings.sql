-- What has ended for good outlives a restore. Role names follow the database's.
DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- API keys that were revoked, people whose role ended or changed: here until the running instance has them in the
-- journal of erasures, since the operator's verbs, which write them, may run where that file is not. Whoever can write
-- it can have anybody of the instance locked out of a restored database; whoever can empty it can have a key come back.
CREATE TABLE ending (
    kind text NOT NULL,
    subject uuid NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (kind, subject, party)
);
EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ending TO %I', service);

-- Which database this was at the last start is noted too: in another one, which was restored, nobody is signed in.
-- How far the journal of erasures, a file beside the key-encryption key, is applied to this database: so many of its
-- lines, and the digest of the last of them. A restored database has an older place, and nothing is served from it
-- before the rest is applied. Whoever can write it can have revoked keys of a restored backup left alive; the journal
-- itself lies elsewhere.
CREATE TABLE erasure_place (
    one boolean PRIMARY KEY DEFAULT true,
    lines bigint NOT NULL,
    digest text NOT NULL,
    system_id bigint,
    timeline bigint,
    file bigint,
    CONSTRAINT erasure_place_one CHECK (one)
);
INSERT INTO erasure_place (lines, digest) VALUES (0, '');
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);

END $migration$;

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

-- Which database this was at the last start of its instance. In another one, which was restored, nobody is signed in.
ALTER TABLE erasure_place ADD COLUMN system_id bigint, ADD COLUMN timeline bigint, ADD COLUMN file bigint;

END $migration$;

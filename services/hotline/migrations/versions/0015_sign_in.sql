DO $migration$
BEGIN

-- When their provider last had a session's person prove who they are; nothing where nobody says so.
ALTER TABLE console_session ADD COLUMN proven_at timestamptz;

-- Of whom an auditor sees anything: parties below these jurisdictions, and these. Nothing in both: everything.
ALTER TABLE console_person ADD COLUMN scope_jurisdictions text[], ADD COLUMN scope_parties text[];
ALTER TABLE api_key ADD COLUMN scope_jurisdictions text[], ADD COLUMN scope_parties text[];

-- Whose a key is, where it is a person's: it acts as they do in the console, and ends with them.
ALTER TABLE api_key ADD COLUMN person text CHECK (person ~ '^[0-9a-f]{32}$');

END $migration$;

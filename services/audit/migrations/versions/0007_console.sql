-- Who may open the console. Whoever can write these tables can act as anybody of this instance's parties, as with
-- api_key. Of links and sessions only the SHA-256 is kept: each is 256 random bits.

DO $migration$
DECLARE
    service text := current_database();
BEGIN

-- A person of a party, by an opaque name, and what they may be. Ended, they open nothing more.
CREATE TABLE console_person (
    party text NOT NULL,
    actor text NOT NULL CHECK (actor ~ '^[0-9a-f]{32}$'),
    role text NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (party, actor)
);

-- A link that signs a person in once.
CREATE TABLE console_link (
    link_hash bytea PRIMARY KEY,
    party text NOT NULL,
    actor text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX console_link_by_age ON console_link (expires_at);

CREATE TABLE console_session (
    session_hash bytea PRIMARY KEY,
    party text NOT NULL,
    actor text NOT NULL,
    began_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX console_session_by_age ON console_session (began_at);

EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON console_person, console_link, console_session TO %I', service);

-- Flows are looked for by when they were decided.
CREATE INDEX entry_by_decision ON entry (broker_time) WHERE kind = 'decision';

END $migration$;

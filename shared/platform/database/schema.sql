-- The tables of every instance, audit's too: leases, documents, keys, people, repeated requests, permissions.

-- The one process that does a task (`relay`, `reader`): its writes count only under the newest fence. Only the
-- service's role can take a lease.
CREATE TABLE process_lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fencing_token bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE document (
    digest text NOT NULL,
    kind text NOT NULL,
    active_from timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest, active_from),
    CONSTRAINT document_kind CHECK (kind IN ('directory', 'policy'))
);

-- The place up to which the erasure journal (a file in the folder of the key-encryption key) is applied to this
-- database: the number of lines, and the digest of the last one. A restored database has an older place, and the
-- instance serves it only after the rest is applied. A client that can write this table can suppress erasures in a
-- restored backup, but the journal itself is elsewhere. The table also has the identity of the database at the last
-- start. In another database, which was restored, all sign-ins end.
CREATE TABLE erasure_journal_position (
    singleton boolean PRIMARY KEY DEFAULT true,
    line_count bigint NOT NULL,
    digest text NOT NULL,
    system_id bigint,
    timeline bigint,
    file_node bigint,
    CONSTRAINT erasure_journal_position_singleton CHECK (singleton)
);
INSERT INTO erasure_journal_position (line_count, digest) VALUES (0, '');

-- Revoked API keys, and people whose role ended or changed. They stay here until the running instance has written them
-- to the erasure journal, because the operator's verbs that add them may run on a machine without that file. A client
-- that can write this table can lock any person of the instance out of a restored database. A client that can empty it
-- can make a revoked key valid again after a restore.
CREATE TABLE access_end (
    kind text NOT NULL,
    subject uuid NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (kind, subject, party)
);

CREATE TABLE api_key (
    key_hash bytea PRIMARY KEY,
    party text NOT NULL,
    role text NOT NULL,
    -- The scope of an auditor: parties below these jurisdictions, and these parties. Both null: everything.
    scope_jurisdictions text[],
    scope_parties text[],
    -- The person of a key, if it has one: the key acts as the person does in the console, and ends with their role.
    person text,
    revoked_at timestamptz,
    -- From this time on the key opens nothing.
    expires_at timestamptz NOT NULL,
    CONSTRAINT api_key_person CHECK (person ~ '^[0-9a-f]{32}$')
);

-- People with access to the console. A client that can write these tables can act as any person of this instance's
-- parties, as with api_key. Only the SHA-256 of links and sessions is stored, because each has 256 random bits.

-- A person of a party, by an opaque name, and their role. A person whose role has ended has no access.
CREATE TABLE console_account (
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    -- The scope of an auditor, as with api_key.
    scope_jurisdictions text[],
    scope_parties text[],
    ended_at timestamptz,
    -- The display name for colleagues of the party. No message contains it.
    display_name text,
    PRIMARY KEY (party, actor),
    CONSTRAINT console_account_actor CHECK (actor ~ '^[0-9a-f]{32}$'),
    CONSTRAINT console_account_display_name_bound CHECK (length(display_name) <= 60)
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
    started_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- The time when the identity provider last authenticated the person; null if it did not say.
    authenticated_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX console_session_by_age ON console_session (started_at);

CREATE TABLE idempotency_key (
    party text NOT NULL,
    key_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    response_status integer NOT NULL,
    -- Stored text (shared/platform/database/stored_text.py).
    response_body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key_hash)
);
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);
-- Hold keys until the end of the transaction, and return the stored ones. The locks are taken in a fixed order. The
-- second statement sees rows that a holder committed during the wait.
CREATE FUNCTION hold_keys(parties text[], keys bytea[]) RETURNS SETOF idempotency_key LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(held.lock) FROM (
        SELECT DISTINCT hashtextextended('idempotency ' || party || encode(key, 'hex'), 0) AS lock
        FROM unnest(parties, keys) AS k (party, key) ORDER BY lock OFFSET 0) AS held;
    RETURN QUERY SELECT i.* FROM (SELECT DISTINCT * FROM unnest(parties, keys)) AS k (party, key_hash)
        JOIN idempotency_key AS i USING (party, key_hash);
END $$;
REVOKE ALL ON FUNCTION hold_keys FROM PUBLIC;

-- Permissions by role, action and state: a second, independent copy of the service's table of permissions. The
-- isolation tests compare the two.

CREATE TABLE permission (
    resource text NOT NULL,
    action text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (resource, action, role, state)
);

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE',
    'process_lease, document, access_end, api_key, console_account, console_link, console_session, idempotency_key');
SELECT pg_temp.grant_service('EXECUTE', 'FUNCTION hold_keys');
SELECT pg_temp.grant_service('SELECT, UPDATE', 'erasure_journal_position');
SELECT pg_temp.grant_service('SELECT', 'permission');

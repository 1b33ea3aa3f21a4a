-- The tables of every instance, audit's too: leases, documents, keys, people, repeated requests, permissions.

-- The one process that does a task (`relay`, `reader`): its notes count only under the newest fence. The service's role
-- alone takes a lease.
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);

CREATE TABLE document (
    digest text NOT NULL,
    kind text NOT NULL,
    active_from timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest, active_from),
    CONSTRAINT document_kind CHECK (kind IN ('directory', 'policy'))
);

-- How far the journal of erasures, a file beside the key-encryption key, is applied to this database: so many of its
-- lines, and the digest of the last of them. A restored database has an older place, and nothing is served from it
-- before the rest is applied. Whoever can write it can have erasures of a restored backup left out; the journal itself
-- lies elsewhere. Which database this was at the last start is noted, too: in another one, which was restored, nobody
-- is signed in.
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

-- API keys that were revoked, people whose role ended or changed: here until the running instance has them in the
-- journal of erasures, since the operator's verbs, which write them, may run where that file is not. Whoever can write
-- it can have anybody of the instance locked out of a restored database; whoever can empty it can have a key come back.
CREATE TABLE ending (
    kind text NOT NULL,
    subject uuid NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (kind, subject, party)
);

CREATE TABLE api_key (
    key_hash bytea PRIMARY KEY,
    party text NOT NULL,
    role text NOT NULL,
    -- Of whom an auditor sees anything: parties below these jurisdictions, and these. Nothing in both: everything.
    scope_jurisdictions text[],
    scope_parties text[],
    -- Whose a key is, where it is a person's: it acts as they do in the console, and ends with them.
    person text,
    revoked_at timestamptz,
    CONSTRAINT api_key_person CHECK (person ~ '^[0-9a-f]{32}$')
);

-- Who may open the console. Whoever can write these tables can act as anybody of this instance's parties, as with
-- api_key. Of links and sessions only the SHA-256 is kept: each is 256 random bits.

-- A person of a party, by an opaque name, and what they may be. Ended, they open nothing more.
CREATE TABLE console_person (
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    -- Of whom an auditor sees anything, as with api_key.
    scope_jurisdictions text[],
    scope_parties text[],
    ended_at timestamptz,
    -- What the party calls them, for the others of it; it leaves the instance in no message.
    called text,
    PRIMARY KEY (party, actor),
    CONSTRAINT console_person_actor CHECK (actor ~ '^[0-9a-f]{32}$'),
    CONSTRAINT console_person_called_bound CHECK (length(called) <= 60)
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
    -- When their provider last had the session's person prove who they are; nothing where nobody says so.
    proven_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX console_session_by_age ON console_session (began_at);

CREATE TABLE idempotency (
    party text NOT NULL,
    key_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    status integer,
    -- Stored text (shared/runtime/database/stored_text.py).
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Who may do what in which state: a second, independent copy of the service's table of permissions, held equal to it
-- by the isolation tests.

CREATE TABLE permitted (
    resource text NOT NULL,
    action text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (resource, action, role, state)
);

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE',
    'lease, document, ending, api_key, console_person, console_link, console_session, idempotency');
SELECT pg_temp.grant_service('SELECT, UPDATE', 'erasure_place');
SELECT pg_temp.grant_service('SELECT', 'permitted');

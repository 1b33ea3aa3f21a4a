-- Where a party has its events sent, and what came of it. Whoever can write these tables can have a party's events sent
-- elsewhere, or not at all; its feed shows them all the same. Address and secrets are under a key of the row's own.
-- `number` is of the last event that the receiver has confirmed: it stands in the same database as the feed, so that both
-- are restored together. Who works on it has the lease; what is noted counts only under it.

CREATE TABLE webhook (
    webhook_id uuid PRIMARY KEY,
    party text NOT NULL,
    state text NOT NULL,
    number bigint NOT NULL,
    wrapped_key bytea,
    url bytea,
    secret bytea,
    -- The secret that it had before: it signs too until then.
    secret_before bytea,
    before_until timestamptz,
    -- How often the event after `number` was sent in vain, since when, and when it is sent again.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at timestamptz NOT NULL,
    lease uuid,
    leased_until timestamptz,
    -- How many lines of its log were ever written.
    entries bigint NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    CONSTRAINT webhook_url_bound CHECK (octet_length(url) <= 600),
    CONSTRAINT webhook_secret_bound CHECK (octet_length(secret) <= 128 AND octet_length(secret_before) <= 128)
);
CREATE INDEX webhook_by_party ON webhook (party, webhook_id) WHERE state <> 'removed';
CREATE INDEX webhook_due ON webhook (due_at) WHERE state = 'active';

-- The newest lines of the log: a later one takes the place of the one a thousand before it.
CREATE TABLE webhook_delivery (
    webhook_id uuid NOT NULL,
    slot integer NOT NULL,
    party text NOT NULL,
    entry bigint NOT NULL,
    message_id text NOT NULL,
    number bigint NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    code text NOT NULL,
    status integer,
    duration_ms integer NOT NULL,
    PRIMARY KEY (webhook_id, slot)
);

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'webhook, webhook_delivery');
SELECT pg_temp.isolate_by_state('webhook', 'webhook');
SELECT pg_temp.isolate('webhook_delivery', 'webhook', added => 'submit apply', changed => 'acts');

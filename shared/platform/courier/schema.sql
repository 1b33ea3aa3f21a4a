-- The webhooks of parties, and the results of deliveries. A client that can write these tables can have a party's
-- events sent elsewhere, or not at all; the party's feed still shows them. Address and secrets are encrypted with the
-- row's own key. `confirmed_number` is that of the last event that the receiver has confirmed. It is in the same
-- database as the feed, so that both are restored together. The process that sends has the lease; its results count
-- only under the lease.

CREATE TABLE webhook (
    webhook_id uuid PRIMARY KEY,
    party text NOT NULL,
    state text NOT NULL,
    confirmed_number bigint NOT NULL,
    wrapped_key bytea,
    url bytea,
    secret bytea,
    -- The previous secret, which also signs until `previous_secret_until`.
    previous_secret bytea,
    previous_secret_until timestamptz,
    -- The failed attempts at the event after `confirmed_number`, the time of the first, and the time of the next
    -- attempt.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at timestamptz NOT NULL,
    lease_id uuid,
    lease_expires_at timestamptz,
    -- The number of log lines that were ever written.
    line_count bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_url_bound CHECK (octet_length(url) <= 600),
    CONSTRAINT webhook_secret_bound CHECK (octet_length(secret) <= 128 AND octet_length(previous_secret) <= 128)
);
CREATE INDEX webhook_by_party ON webhook (party, webhook_id);
CREATE INDEX webhook_due ON webhook (due_at) WHERE state = 'active';

-- The newest lines of the log: each line replaces the one a thousand lines before it.
CREATE TABLE webhook_delivery (
    webhook_id uuid NOT NULL,
    ring_slot integer NOT NULL,
    party text NOT NULL,
    line_number bigint NOT NULL,
    message_id text NOT NULL,
    event_number bigint NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    code text NOT NULL,
    status integer,
    duration_ms integer NOT NULL,
    PRIMARY KEY (webhook_id, ring_slot)
);

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'webhook, webhook_delivery');
SELECT pg_temp.isolate_by_state('webhook', 'webhook');
SELECT pg_temp.isolate('webhook_delivery', 'webhook', added => 'submit apply', changed => 'acts');

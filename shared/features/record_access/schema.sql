-- The tables of every party's instance: peers, erased records, record openings, the journal of acts, used quotas.

-- The newest statement of each peer about the messages that it can read. An older one changes nothing.
CREATE TABLE peer (
    instance text PRIMARY KEY,
    supported_versions jsonb NOT NULL,
    versions_stated_at timestamptz NOT NULL
);

-- Erased records by party. If such a record arrives again, from a log that is read again after a restore, it is erased
-- on arrival. `erased_at` is the time in this database. It shows whether the erasure was in time, also after its event
-- was deleted.
CREATE TABLE erased_record (
    subject uuid NOT NULL,
    party text NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, party)
);

-- Openings of records, for the people of the party: a row for each actor, subject, role, reason and hour (UTC), with the
-- time of the first and the `count` of all. `actor` is the opaque name that audit gets, `reason` the reason that a person
-- gave. Audit gets each row at once, and its count with the next row like it. A process that can write this table can
-- hide an opening from the people, but only repeated ones from audit.
CREATE TABLE record_access_log (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject uuid NOT NULL,
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    reason text,
    at timestamptz NOT NULL,
    count bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX record_access_log_of ON record_access_log (party, subject, actor, role, reason,
    date_trunc('hour', at AT TIME ZONE 'UTC')) NULLS NOT DISTINCT;

-- The journal of acts: a row for each act that a party learns of, its own acts and those of others, numbered densely for
-- each party in the order of their commits. A process that can write these tables can hide from a party that something
-- happened. It cannot undo the act: the party's other tables show it.

-- By month: a month that is past its period is dropped. Rows of months without a partition are in the default one.
CREATE TABLE act (
    subject uuid NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    party text NOT NULL,
    type text NOT NULL,
    detail jsonb,
    CONSTRAINT act_detail_bound CHECK (octet_length(detail::text) <= 512)
) PARTITION BY RANGE (at);
CREATE TABLE act_default PARTITION OF act DEFAULT;
-- Without free space: acts of a party come in the order of their numbers.
CREATE INDEX act_by_party ON act (party, number) WITH (fillfactor = 100);
-- The timeline of one subject. Few parties of an instance know the same one.
CREATE INDEX act_by_subject ON act (subject, number);

-- The last number of each party. A transaction locks the rows of its parties, in their order, when it adds to `act`.
CREATE TABLE feed (
    party text PRIMARY KEY,
    last_number bigint NOT NULL
);

-- One row. In another database (restored, or loaded elsewhere) the system id, the timeline or the file of `feed` differs:
-- then the next number begins a new epoch.
CREATE TABLE feed_epoch (
    singleton boolean PRIMARY KEY DEFAULT true,
    epoch uuid NOT NULL DEFAULT uuidv7(),
    system_id bigint,
    timeline bigint,
    file_node bigint,
    CONSTRAINT feed_epoch_singleton CHECK (singleton)
);
INSERT INTO feed_epoch DEFAULT VALUES;

-- The cost of all that each party of this instance has sent in a day (UTC), in sixteenths of a bit. With `is_received`, one row for
-- each party that sends here: its daily quota, and until when its days are used up, by recipient and purpose
-- (`shared/delivery/gate.py`). A writer of this table can let a party send more than its daily quota, or nothing.
CREATE TABLE daily_quota_usage (
    party text NOT NULL,
    is_received boolean NOT NULL DEFAULT false,
    day date NOT NULL,
    bits bigint NOT NULL,
    used jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (party, is_received, day)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX daily_quota_usage_received ON daily_quota_usage (party) WHERE is_received;

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'peer, erased_record, daily_quota_usage');
SELECT pg_temp.grant_service('SELECT, INSERT', 'act, record_access_log');
SELECT pg_temp.grant_service('UPDATE (count)', 'record_access_log');
SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'feed');
SELECT pg_temp.grant_service('SELECT, UPDATE', 'feed_epoch');

SELECT pg_temp.isolate('erased_record', NULL, added => 'acts');
-- A transaction that reads records may add rows and counts here, and nothing else.
SELECT pg_temp.isolate('record_access_log', NULL, added => 'read', changed => 'read');
-- A party sees its own acts; no transaction sees those of two parties. Acts are added and never changed or removed.
ALTER TABLE act ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DO $policies$
BEGIN
    EXECUTE format('CREATE POLICY act_seen ON act FOR SELECT USING (party = (SELECT current_setting(%L, true))'
                   ' AND EXISTS (SELECT 1 FROM %s))', 'causeway.parties', pg_temp.permits('event', NULL));
    EXECUTE format('CREATE POLICY act_added ON act FOR INSERT WITH CHECK (%s)', pg_temp.bound());
END $policies$;

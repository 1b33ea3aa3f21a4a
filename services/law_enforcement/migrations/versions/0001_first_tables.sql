-- What every instance has, and the agencies' own, isolated by party, role, action and state.
-- Written out here on purpose: what a revision makes must not change with the code, and the database's copy of the
-- permissions must not be derived from the other. Role names follow the database's.
DO $migration$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN

-- What every instance has. Whoever can write these tables can suppress or repeat this instance's own messages, not
-- forge another instance's; audit's reading of Kafka and the other side's tables show either
-- (`causeway audit reconcile`).

-- One lane for each instance that this one writes to, in the order of `position`. `last` is given under this row's lock
-- as the last step of a transaction, so positions commit in order.
CREATE TABLE lane_end (
    lane text PRIMARY KEY,
    last bigint NOT NULL
) WITH (fillfactor = 50);

-- How far the relay has come in a lane: what waits is behind `appended`. It is a row of its own, so that the relay does
-- not wait for those who send. `before` is what was appended at `before_at`: it tells how long ago.
CREATE TABLE lane (
    lane text PRIMARY KEY,
    appended bigint NOT NULL DEFAULT 0,
    appended_at timestamptz,
    before bigint NOT NULL DEFAULT 0,
    before_at timestamptz,
    -- Of the last record that was appended. A later one that is not behind it says that the topic has lost its end.
    "offset" bigint
) WITH (fillfactor = 50);

-- What one transaction sends along one lane, as Kafka will hold it. Never changed; gone with the last of its messages.
CREATE TABLE segment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane text NOT NULL,
    open integer NOT NULL,
    packed bytea NOT NULL
) WITH (fillfactor = 70);
ALTER TABLE segment ALTER COLUMN packed SET STORAGE EXTERNAL;

-- A message that somebody may still ask for. What is sent again gets a new position, at the end of its lane. It leaves
-- when nothing more will be said of it (`done`) and the marks of its recipient's instance and of audit have passed it.
CREATE TABLE outbox (
    message_id uuid PRIMARY KEY,
    lane text NOT NULL,
    position bigint NOT NULL,
    segment bigint NOT NULL,
    index integer NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    sequence bigint NOT NULL,
    digest text NOT NULL,
    created_at timestamptz NOT NULL,
    -- How often it has been signed again because its number had been given before.
    signed smallint NOT NULL DEFAULT 0,
    outcome text,
    code text,
    receipt_id uuid,
    -- Whether the outcome is final, or is nobody's to state: facts, receipts and what is said of delivery.
    done boolean NOT NULL,
    -- Why it cannot be sent. The lane goes on without it.
    aside text,
    -- When it was sent again last because it was wanted.
    wanted_at timestamptz,
    -- When the recipient's mark passed it without a receipt.
    marked_at timestamptz,
    CONSTRAINT outbox_position UNIQUE (lane, position),
    CONSTRAINT outbox_outcome CHECK (
        outcome IN ('applied', 'refused', 'deferred', 'waiting', 'parked', 'moved'))
) WITH (fillfactor = 70);
-- Not unique: where a counter went back, its recipient says so, and nobody is kept from filing until then.
CREATE INDEX outbox_number ON outbox (sender, recipient, epoch, sequence);
CREATE INDEX outbox_open ON outbox (lane, position) WHERE NOT done;
CREATE INDEX outbox_aside ON outbox (lane) WHERE aside IS NOT NULL;
CREATE INDEX outbox_unreceipted ON outbox (marked_at) WHERE marked_at IS NOT NULL;
-- What was answered, and not for good.
CREATE INDEX outbox_answered ON outbox (lane, message_id) WHERE NOT done AND outcome IS NOT NULL;
-- What is passed by its recipient's mark, or was answered, and has no final outcome.
CREATE INDEX outbox_behind ON outbox (sender, recipient, epoch, sequence)
    WHERE NOT done AND (outcome IS NOT NULL OR marked_at IS NOT NULL);

CREATE TABLE settled (
    message_id uuid NOT NULL,
    type text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    lane text NOT NULL,
    epoch uuid NOT NULL,
    sequence bigint NOT NULL,
    digest text NOT NULL,
    outcome text,
    code text,
    receipt_id uuid,
    -- What it was about, where it was refused.
    subject text,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, settled_at)
) PARTITION BY RANGE (settled_at);
CREATE TABLE settled_default PARTITION OF settled DEFAULT;

-- What an instance says that it has taken of a pair's numbers: the newest that it said.
CREATE TABLE mark (
    by text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    passed int8multirange NOT NULL,
    PRIMARY KEY (by, sender, recipient, epoch)
) WITH (fillfactor = 70);

-- Which process alone publishes (`relay`): what it notes counts only under the newest fence, and the service's role alone
-- takes one.
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);

-- The open epoch of each pair at each instance that serves its recipient. It ends where the database is another than
-- gave its last number, which the system's id, the timeline and the file of `erasure_place` tell, and where a number
-- had been given before. A dump that is loaded makes another file.
-- `told` is the highest number of ours that its recipient's instance says it knows of: its word, and no book's.
CREATE TABLE pair_sequence (
    sender text NOT NULL,
    recipient text NOT NULL,
    lane text NOT NULL,
    epoch uuid NOT NULL,
    last bigint NOT NULL,
    told bigint NOT NULL DEFAULT 0,
    system_id bigint NOT NULL,
    timeline bigint NOT NULL,
    file bigint NOT NULL,
    prev_epoch uuid,
    prev_last bigint,
    PRIMARY KEY (sender, recipient, lane)
) WITH (fillfactor = 50);

-- `last` is what this database knew: one that was restored may have given out more.
CREATE TABLE closed_epoch (
    sender text NOT NULL,
    recipient text NOT NULL,
    lane text NOT NULL,
    epoch uuid NOT NULL,
    last bigint NOT NULL,
    told bigint NOT NULL DEFAULT 0,
    closed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sender, recipient, epoch)
);

-- One row: which database this was when that was last looked at, and since when. Another one was restored: `lives` says
-- how many there were.
CREATE TABLE life (
    one boolean PRIMARY KEY DEFAULT true,
    lives integer NOT NULL DEFAULT 0,
    system_id bigint,
    timeline bigint,
    file bigint,
    began_at timestamptz,
    CONSTRAINT life_one CHECK (one)
);
INSERT INTO life DEFAULT VALUES;

CREATE TABLE inbox (
    message_id uuid PRIMARY KEY,
    sender text NOT NULL,
    sender_instance text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    digest text NOT NULL,
    -- The copy that was judged. An offset means nothing in another life of the topic.
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_time timestamptz NOT NULL,
    topic_id uuid,
    -- The id and the content of what it tells, an edge or an act, and the revision of its edge.
    said uuid,
    content text,
    revision integer,
    outcome text NOT NULL DEFAULT 'applied',
    code text,
    -- What it lacks, where that was not the last word; and when its sender was asked to send it again.
    need text,
    asked boolean NOT NULL DEFAULT false,
    wanted_at timestamptz,
    wanted_times integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_pair_sequence UNIQUE (sender, recipient, epoch, sequence),
    CONSTRAINT inbox_outcome
        CHECK (outcome IN ('applied', 'refused', 'deferred', 'waiting', 'parked', 'moved'))
);
CREATE INDEX inbox_said ON inbox (said) WHERE said IS NOT NULL AND outcome = 'applied';
CREATE INDEX inbox_open ON inbox (subject) WHERE outcome IN ('deferred', 'waiting', 'parked');
-- From what one message lacks to what the next one does: of acts nobody has to look, they are asked for when they are due.
CREATE INDEX inbox_lacks ON inbox (sender_instance, need COLLATE "C")
    WHERE outcome = 'deferred' AND need IS NOT NULL AND need NOT LIKE 'act %';
CREATE INDEX inbox_withdrawn ON inbox (subject)
    WHERE type IN ('causeway.referral_withdrawn.v1', 'causeway.notice_withdrawn.v1') AND outcome = 'applied';

-- Of each sender's numbers the highest that is known of, and those below it that have not come. Up to `released` its
-- sender holds none any more, by its newest mark: it sends none of them again.
CREATE TABLE pair_taken (
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    instance text NOT NULL,
    high bigint NOT NULL,
    holes int8multirange NOT NULL,
    released bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sender, recipient, epoch)
);
CREATE INDEX pair_taken_by_instance ON pair_taken (instance);

-- Numbers whose rows `inbox` or `settled` (the book) keeps no longer: all of them were applied, or nobody states what
-- became of them. `digests` adds up the first 60 bits of their messages' digests: the accounts compare it with what audit
-- has read. No message among them has an id above `newest`: a younger one under such a number is another message. Whoever
-- can write this can have messages answered as applied that never were; the service cannot.
CREATE TABLE compacted (
    book text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    numbers int8multirange NOT NULL,
    digests numeric NOT NULL,
    newest uuid NOT NULL,
    PRIMARY KEY (book, sender, recipient, epoch),
    CONSTRAINT compacted_book CHECK (book IN ('inbox', 'settled'))
);

-- What a sender no longer held: numbers that never came, and messages that were deferred, waited or were parked.
CREATE TABLE gone (
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    message_id uuid,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sender, recipient, epoch, first, last)
);

-- Messages that wait for a document, or for the act before them, encrypted. Bounded by the instance's settings.
CREATE TABLE awaiting (
    message_id uuid PRIMARY KEY,
    sender text NOT NULL,
    recipient text NOT NULL,
    epoch uuid NOT NULL,
    sequence bigint NOT NULL,
    need text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    length_bytes integer NOT NULL,
    record bytea NOT NULL,
    due boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX awaiting_need ON awaiting (need);

-- How far each topic was taken, moved in the transaction of what was read; and which process reads which topic.
CREATE TABLE topic_cursor (
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id uuid NOT NULL,
    following bigint NOT NULL,
    tail text,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE topic_reader (
    holder uuid PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE TABLE topic_lease (
    topic text PRIMARY KEY,
    holder uuid NOT NULL,
    until timestamptz NOT NULL
);

-- A row is an authentic message, or all junk of one topic, reason and hour: `same` tells which, `count` how often.
CREATE TABLE quarantine (
    same text PRIMARY KEY,
    count bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    -- Offsets begin again when a topic is made again; the broker's time tells the records apart.
    broker_time timestamptz NOT NULL,
    length_bytes integer NOT NULL,
    -- As audit was told and has it: the message's, or that of the whole record where its headers could not be read.
    digest text NOT NULL,
    reason text NOT NULL,
    sender text,
    message_id uuid,
    body bytea,
    parked_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz
);
CREATE INDEX quarantine_place ON quarantine (topic, partition, "offset");
CREATE INDEX quarantine_waiting ON quarantine (parked_at) WHERE replayed_at IS NULL;

-- What other instances have said last of themselves, each word with its place in its speaker's topic: an older one,
-- read again, changes nothing. `owes` is the nonce that our next marks answer, `answered` the one of ours that theirs did.
-- `stand_due`: it is to be told what is held of its edges; `stood_at` is when that began, `stand_above` the last edge that
-- was said, while there is more to say.
CREATE TABLE peer (
    instance text PRIMARY KEY,
    reads jsonb,
    reads_at timestamptz,
    reads_offset bigint,
    marked_at timestamptz,
    marked_offset bigint,
    -- How many marks it has said in this minute of the broker's.
    marks integer NOT NULL DEFAULT 0,
    -- And how often it has asked for messages, in the minute of the last time.
    wants integer NOT NULL DEFAULT 0,
    wanted_at timestamptz,
    owes uuid,
    answered uuid,
    stand_due boolean NOT NULL DEFAULT false,
    -- The newest statement of it that this release cannot read.
    unread uuid,
    stood_at timestamptz,
    stand_above uuid
);

CREATE TABLE document (
    digest text NOT NULL,
    kind text NOT NULL,
    active_from timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest, active_from),
    CONSTRAINT document_kind CHECK (kind IN ('directory', 'policy'))
);

CREATE TABLE data_key (
    subject uuid PRIMARY KEY,
    wrapped bytea NOT NULL
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

-- What was erased, of whom. What comes again of it, from a log that is read anew after a restore, is erased as it comes.
-- `erased_at`: in this database; whether it was in time can be asked when its event is gone.
CREATE TABLE erased_record (
    subject uuid NOT NULL,
    party text NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, party)
);

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

-- Who has opened a record here, for the people of its party: `actor` is the opaque name that audit is told, `reason` what
-- a person said. Whoever can write this table can hide a look from them, not from audit.
CREATE TABLE record_look (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject uuid NOT NULL,
    party text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    reason text,
    at timestamptz NOT NULL
);
CREATE INDEX record_look_of ON record_look (party, subject, number);

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
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- What a party learns: its acts, and those of others that concern it, one row each, numbered densely per party in the
-- order in which they became visible. An act adds its row unnumbered; the numberer moves committed rows over. Whoever
-- can write these tables can hide from a party that something happened, not that it did: the party's own tables say it.

CREATE TABLE event_unnumbered (
    -- By it the numberer finds where to go on: what is below the oldest open transaction has been seen.
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    party text NOT NULL,
    type text NOT NULL,
    subject uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    detail jsonb,
    PRIMARY KEY (xact, id),
    CONSTRAINT event_unnumbered_detail_bound CHECK (octet_length(detail::text) <= 512)
);

-- By month: what is past its time leaves with its partition. What no partition is for yet waits in the last.
CREATE TABLE event (
    party text NOT NULL,
    number bigint NOT NULL,
    type text NOT NULL,
    subject uuid NOT NULL,
    at timestamptz NOT NULL,
    detail jsonb
) PARTITION BY RANGE (at);
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE INDEX event_by_party ON event (party, number);
-- The timeline of one subject.
CREATE INDEX event_by_subject ON event (party, subject, number);

CREATE TABLE feed (
    party text PRIMARY KEY,
    last bigint NOT NULL
);

-- One row: who has it locked numbers. Another database (restored, or loaded elsewhere), as the system's id, the timeline
-- and the file of `feed` tell, begins a new epoch, and looks at every row once.
CREATE TABLE feed_numberer (
    one boolean PRIMARY KEY DEFAULT true,
    epoch uuid NOT NULL DEFAULT uuidv7(),
    system_id bigint,
    timeline bigint,
    file bigint,
    seen_below xid8 NOT NULL DEFAULT '0',
    CONSTRAINT feed_numberer_one CHECK (one)
);
INSERT INTO feed_numberer DEFAULT VALUES;

-- The agencies' own: cases, and the edges on which each was offered. Whoever can write these tables can hide a case
-- from its agency or misstate its progress here; origin and audit still show that it was sent and receipted, and what
-- was answered.

CREATE TABLE case_file (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    origin text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    -- Its number in the party's feed, given once it was committed: lists go by it, and so miss nothing.
    arrival bigint,
    -- As its sender says; none where a provider is not told.
    priority text,
    -- Its place in the lists: what is open and has a child at risk stands above all that has arrived.
    place bigint GENERATED ALWAYS AS (
        CASE WHEN priority = 'p0_child_at_risk' AND state IN ('offered', 'accepted', 'ongoing')
             THEN arrival + 4611686018427387904 ELSE arrival END) STORED,
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- The revision that stands, and how many acts the party has done on it.
    revision integer NOT NULL DEFAULT 1,
    acts integer NOT NULL DEFAULT 0,
    -- Of these, those that its sender told of: done elsewhere, before the party moved here.
    told integer NOT NULL DEFAULT 0,
    -- What the party has said in its own acts, by the name of each word: codes and times, no text of its own.
    said jsonb NOT NULL DEFAULT '{}',
    -- The agency's own reference of it, under a key of its own. It is found by a keyed token: whoever has the rows can
    -- tell which cases the agency calls alike, and not how.
    case_reference bytea,
    reference_key bytea,
    reference_token bytea,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_file_said_bound CHECK (octet_length(said::text) <= 4096),
    CONSTRAINT case_file_reference_bound CHECK (octet_length(case_reference) <= 128),
    CONSTRAINT case_file_token_bound CHECK (octet_length(reference_token) = 16)
);
-- The list, whole and by what it is looked through for: state, priority, who sent it, period.
CREATE INDEX case_file_by_place ON case_file (party, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_by_state ON case_file (party, state, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_at_risk ON case_file (party, place) WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_at_risk_by_state ON case_file (party, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_from ON case_file (party, origin, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_from_by_state ON case_file (party, origin, state, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_at_risk_from ON case_file (party, origin, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_at_risk_from_by_state ON case_file (party, origin, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_by_time ON case_file (party, received_at) WHERE arrival IS NOT NULL;
-- Written so that no look for places takes it for one of theirs.
CREATE INDEX case_file_attention ON case_file (party, received_at, referral_id)
    WHERE place - 4611686018427387904 >= 0;
CREATE INDEX case_file_by_reference ON case_file (party, reference_token, referral_id) WHERE reference_token IS NOT NULL;
-- What was passed on to another agency and has come back.
CREATE INDEX case_file_came_back ON case_file (party, changed_at) WHERE said ? 'stands';
-- What was taken back and nobody has answered for; and what was kept, by the day until which.
CREATE INDEX case_file_taken_back ON case_file (changed_at) WHERE state = 'withdrawn';
CREATE INDEX case_file_kept_until ON case_file ((said #>> '{kept,until}'))
    WHERE state = 'withdrawal_acknowledged' AND said #>> '{fate}' = 'kept';

-- One row per purpose for which the referral was offered to the agency, and per revision: what an accepted case had
-- before stays beside what stands.
CREATE TABLE case_edge (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    purpose text NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    edge jsonb NOT NULL,
    content bytea NOT NULL,
    -- The message as it came, under the same key: whoever erases the record erases what proves it.
    evidence bytea NOT NULL,
    wrapped_key bytea,
    -- The class of its edge; empty where it says none.
    retention text NOT NULL GENERATED ALWAYS AS (coalesce(edge -> 'handling' ->> 'retention', '')) STORED,
    -- What it takes to pass the case on to another agency: the edge as it came, what it was decided by, and its salt.
    edge_id uuid,
    decision jsonb,
    salt text,
    spelt text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, party, purpose, revision),
    CONSTRAINT case_edge_content_bound CHECK (octet_length(content) <= 33000),
    CONSTRAINT case_edge_evidence_bound CHECK (octet_length(evidence) <= 131072)
    -- Rows that hold ciphertext stay whole up to a page. Trying to compress it would cost CPU time only.
) WITH (toast_tuple_target = 8160);
-- What retention still has to look at, by class and time.
CREATE INDEX case_edge_kept ON case_edge (retention, received_at) WHERE wrapped_key IS NOT NULL;

-- What the agency has said, act by act: a timeline, in which nothing is overwritten.
CREATE TABLE case_act (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    said jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_act_said_bound CHECK (octet_length(said::text) <= 4096)
);

-- Which officer has a case. Rows are added and never changed: of each case the one with the highest number counts.
-- `actor` is null where it was handed over to nobody. Whoever can write this table can keep an officer from a case for a
-- term, or let two work on it.
CREATE TABLE case_lease (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    number integer NOT NULL,
    actor text,
    until timestamptz NOT NULL,
    by_actor text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party, number),
    CONSTRAINT case_lease_number CHECK (number > 0),
    CONSTRAINT case_lease_term CHECK (until <= at + interval '12 hours')
);
-- Whoever looks for what they have claimed finds it by their own claims.
CREATE INDEX case_lease_by_actor ON case_lease (party, actor, until);

-- How a case came from another agency, and what that one had made of it, in codes.
CREATE TABLE case_passed (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    by_party text NOT NULL,
    reason text NOT NULL,
    history jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (referral_id, party),
    CONSTRAINT case_passed_history_bound CHECK (octet_length(history::text) <= 65536)
);

-- By which messages a case was passed on to another agency, and as what it stood: it comes back once each of them was
-- refused. Whoever can write this can have a case that another agency has seem to be the first one's again, or keep it
-- from that.
CREATE TABLE case_passing (
    message_id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL,
    edge_id uuid NOT NULL,
    stood text NOT NULL,
    refused boolean NOT NULL DEFAULT false
);
CREATE INDEX case_passing_of_case ON case_passing (referral_id, party, edge_id);

-- Agencies that have accepted the same referral, or the same place, as origins have told of them: of each case of each
-- other agency once. `attention`: since when it needs a person of the agency.
CREATE TABLE case_contact (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    agency text NOT NULL,
    ground text NOT NULL,
    their_referral_id uuid NOT NULL,
    at timestamptz NOT NULL,
    attention timestamptz,
    PRIMARY KEY (referral_id, party, agency)
);
CREATE INDEX case_contact_attention ON case_contact (party, attention, referral_id) WHERE attention IS NOT NULL;

-- Tokens of the places of an agency's cases, by its instance's key. Whoever can write this table can have cases of one
-- place not shown together, or an officer not warned that a hold stands at one.
CREATE TABLE case_location (
    referral_id uuid NOT NULL,
    party text NOT NULL,
    n smallint NOT NULL,
    version integer NOT NULL,
    token bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, party, n, version, token)
);
CREATE INDEX case_location_of ON case_location (party, version, token, referral_id);
CREATE INDEX case_location_made ON case_location (made_at);

-- What an agency asks of the origins of its cases: that no notice be issued yet. Known by the id of the act that placed
-- it. `asked_until` is what the agency asks for, `not_after` what the origin has said that it holds for. Whoever can write
-- this table can misstate a hold here; the origin's own table says what it holds.
CREATE TABLE hold (
    hold_id uuid NOT NULL,
    party text NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    scope text NOT NULL,
    basis text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    not_after timestamptz,
    held smallint,
    issued smallint,
    issued_at timestamptz,
    ended_at timestamptz,
    -- Since when it needs a person: it has ended otherwise than by its agency, which has done nothing since.
    attention timestamptz,
    PRIMARY KEY (hold_id, party),
    CONSTRAINT hold_state CHECK (
        state IN ('asked', 'active', 'too_late', 'released', 'expired', 'overridden', 'lapsed'))
);
CREATE INDEX hold_by_party ON hold (party, asked_at DESC, hold_id);
CREATE INDEX hold_of_case ON hold (referral_id, party);
CREATE INDEX hold_attention ON hold (party, attention, hold_id) WHERE attention IS NOT NULL;

-- What agencies ask providers to keep, at the agency. Whoever can write these tables can hide a request or misstate
-- what was answered; the other side and audit still show what was sent and receipted.

-- `offered` is the agency's track, `answer` the provider's, `state` what both are shown. `acts` counts the party's own
-- acts, `told` is the number of the other side's newest; `asks`: it is the agency. What is sealed lies under a key of its
-- own: deleting the key erases it.
CREATE TABLE preservation (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    counterpart text NOT NULL,
    exercise boolean NOT NULL,
    state text NOT NULL,
    offered text NOT NULL,
    answer text NOT NULL,
    kind text NOT NULL,
    instrument text NOT NULL,
    term text,
    until date,
    acts integer NOT NULL,
    told integer NOT NULL,
    asks boolean NOT NULL,
    content bytea NOT NULL,
    wrapped_key bytea,
    asked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- Of the party's newest act that the other side's instance has refused: then it was never said there.
    code text,
    refused_at timestamptz,
    -- Its number in the party's feed, given once it was committed: lists go by it, and so miss nothing.
    arrival bigint,
    PRIMARY KEY (preservation_id, party),
    CONSTRAINT preservation_content_bound CHECK (octet_length(content) <= 33000)
);
CREATE INDEX preservation_by_arrival ON preservation (party, arrival) WHERE arrival IS NOT NULL;
CREATE INDEX preservation_by_state ON preservation (party, state, arrival) WHERE arrival IS NOT NULL;
-- What waits for its provider's answer, the oldest first.
CREATE INDEX preservation_unanswered ON preservation (party, asked_at, preservation_id) WHERE state = 'requested';
CREATE INDEX preservation_refused ON preservation (party, refused_at, preservation_id) WHERE refused_at IS NOT NULL;
-- What has ended long ago is erased, the oldest first.
CREATE INDEX preservation_by_key ON preservation (received_at) WHERE wrapped_key IS NOT NULL;

-- Each act of either side as it was said. Nothing is changed, and none removed.
CREATE TABLE preservation_act (
    preservation_id uuid NOT NULL,
    party text NOT NULL,
    track text NOT NULL,
    number integer NOT NULL,
    -- What it was told by, where it is the party's own.
    message_id uuid,
    name text NOT NULL,
    state text NOT NULL,
    said jsonb NOT NULL,
    at timestamptz NOT NULL,
    -- In which order they came.
    kept bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (preservation_id, party, track, number),
    CONSTRAINT preservation_act_said_bound CHECK (octet_length(said::text) <= 4096)
);
CREATE UNIQUE INDEX preservation_act_message ON preservation_act (message_id) WHERE message_id IS NOT NULL;

-- What recipients ask their origins and contest, and what these answer: a row at whoever raised it, one at whoever is
-- told. `own`: its party has raised it; else it is to answer. `told_by` is the id by which messages name the subject.
-- `about`, `said` are codes and item numbers. Whoever can write this table can hide a question or misstate its answer
-- here.
CREATE TABLE question (
    question_id uuid NOT NULL,
    party text NOT NULL,
    told_by uuid NOT NULL,
    counterpart text NOT NULL,
    own boolean NOT NULL,
    number integer NOT NULL,
    -- What it is told by, where it is its party's own. Where its origin's instance refuses that, it was never raised.
    message_id uuid,
    kind text NOT NULL,
    subject uuid NOT NULL,
    about smallint[] NOT NULL,
    said jsonb NOT NULL,
    revision integer NOT NULL,
    raised_at timestamptz NOT NULL,
    due timestamptz,
    state text NOT NULL DEFAULT 'open',
    -- When it was raised, or came to its state.
    since timestamptz NOT NULL,
    -- Whoever has raised it has gone on since it was answered.
    seen boolean NOT NULL DEFAULT false,
    -- That of its referral at the origin, for the list of what needs a person.
    rank smallint NOT NULL,
    PRIMARY KEY (party, told_by, counterpart, own, number),
    CONSTRAINT question_kind CHECK (kind IN ('question', 'dispute')),
    CONSTRAINT question_state CHECK (state IN ('open', 'answered', 'lapsed', 'refused')),
    CONSTRAINT question_said_bound CHECK (octet_length(said::text) <= 8192)
);
CREATE INDEX question_by_party ON question (party, raised_at DESC, question_id DESC);
CREATE INDEX question_of_subject ON question (party, subject);
CREATE INDEX question_asked ON question (party, rank, since, question_id) WHERE NOT own;
CREATE INDEX question_own ON question (party, since, question_id) WHERE own AND NOT seen;
CREATE INDEX question_due ON question (due) WHERE own AND state = 'open';
CREATE UNIQUE INDEX question_message ON question (message_id) WHERE own AND state = 'open';

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

-- Clocks: what they look at of an edge, what happened to it as both its parties know it, and, derived from both and the
-- published law, what falls due: `timer` can be emptied and made again. Whoever can write these tables can keep a party
-- from being told that something is due, have a preservation seem to end early or late, and an alarm raised or kept
-- back; not keep a party from seeing what it was sent and has answered.

CREATE TABLE clocked (
    edge_id uuid NOT NULL,
    party text NOT NULL,
    -- The id by which this party knows it, and the one by which messages name it: at its origin a notice has two.
    subject uuid NOT NULL,
    told_by uuid NOT NULL,
    origin text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    rules text[] NOT NULL,
    -- A preservation is to clocks an edge of an agency and a provider: under one instrument, begun by what was asked.
    -- Both are empty of every other.
    instrument text NOT NULL DEFAULT '',
    begins text NOT NULL DEFAULT '',
    acknowledge_h integer,
    act_h integer,
    begun_at timestamptz NOT NULL,
    -- When it is next looked at: at once where a step has come; never while nothing is to be told.
    look_at timestamptz DEFAULT '-infinity',
    -- Why its clocks cannot be reckoned: a code, null where they can. It is looked at again at `look_at`, as all are.
    aside text,
    PRIMARY KEY (edge_id, party)
);
CREATE INDEX clocked_told ON clocked (told_by, party);
CREATE INDEX clocked_look ON clocked (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX clocked_aside ON clocked (edge_id) WHERE aside IS NOT NULL;

CREATE TABLE clock_step (
    edge_id uuid NOT NULL,
    party text NOT NULL,
    at timestamptz NOT NULL,
    did text NOT NULL,
    code text NOT NULL,
    "of" integer NOT NULL,
    PRIMARY KEY (edge_id, party, at, did, code, "of")
);

CREATE TABLE timer (
    timer_id uuid NOT NULL,
    edge_id uuid NOT NULL,
    party text NOT NULL,
    clock text NOT NULL,
    run integer NOT NULL,
    subject uuid NOT NULL,
    counterpart text NOT NULL,
    purpose text NOT NULL,
    owed_by text NOT NULL,
    due text NOT NULL,
    consequence text NOT NULL,
    rung integer NOT NULL,
    started_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    -- What its party is told next, and when; none once all was told.
    tells_at timestamptz,
    telling text,
    PRIMARY KEY (edge_id, party, clock, run)
);
CREATE INDEX timer_due ON timer (party, due_at, timer_id);
CREATE INDEX timer_subject ON timer (party, subject, due_at, timer_id);

-- Who may do what in which state: a second, independent copy of the service's table of permissions, held equal to it
-- by the isolation tests.

CREATE TABLE permitted (
    resource text NOT NULL,
    action text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (resource, action, role, state)
);
INSERT INTO permitted (resource, action, role, state)
SELECT cell.resource, cell.action, one_role, one_state
FROM (VALUES
    ('case', 'read', 'analyst machine viewer',
     'offered accepted declined ongoing referred closed withdrawn withdrawal_acknowledged record_erased'),
    ('case', 'accept', 'analyst machine', 'offered'),
    ('case', 'decline', 'analyst machine', 'offered'),
    ('case', 'outcome', 'analyst machine', 'accepted ongoing'),
    ('case', 'claim', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'hand_over', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'refer', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'place_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'extend_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'release_hold', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'no_objection', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'ask', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'dispute', 'analyst machine', 'offered accepted ongoing'),
    ('case', 'acknowledge_withdrawal', 'analyst machine', 'withdrawn'),
    ('case', 'apply', 'service',
     'offered accepted declined ongoing referred closed withdrawn withdrawal_acknowledged record_erased'),
    ('preservation', 'read', 'analyst machine viewer',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused '
     || 'ended withdrawn withdrawal_acknowledged'),
    ('preservation', 'submit', 'analyst machine', 'requested'),
    ('preservation', 'extend', 'analyst machine', 'preserved'),
    ('preservation', 'withdraw', 'analyst machine',
     'requested preserved extension_requested extended extension_refused'),
    ('preservation', 'apply', 'service',
     'requested preserved refused not_possible too_late extension_requested extended extension_refused '
     || 'ended withdrawn withdrawal_acknowledged'),
    ('event', 'read', 'analyst machine viewer', 'numbered'),
    ('webhook', 'read', 'analyst machine viewer', 'active paused removed'),
    ('webhook', 'submit', 'analyst machine', 'active'),
    ('webhook', 'remove', 'analyst machine', 'active paused'),
    ('webhook', 'replay', 'analyst machine', 'active paused'),
    ('webhook', 'rotate', 'analyst machine', 'active paused'),
    ('webhook', 'trigger', 'analyst machine', 'active paused'),
    ('webhook', 'apply', 'service', 'active paused')
) AS cell(resource, action, roles, states),
    string_to_table(cell.roles, ' ') AS one_role,
    string_to_table(cell.states, ' ') AS one_state;

-- Row-level security: PostgreSQL's own answer to who may do what to which row, below every use case. A row is visible
-- and changeable only if its `party` is among those the transaction was bound to *and* a row of `permitted` allows the
-- bound role the bound action in the row's present state. Nothing bound means nothing visible. It is forced on the
-- owner too; whoever holds the owner's role can change the policies, the service's login role cannot.
-- Rows are seen by party, role and action; added and changed only in a state in which the action is permitted, or, in a
-- table without states, where it is permitted in any. `read` only sees, `submit` only adds, `apply` adds and changes,
-- every other action changes, and adds what lies beside its row; none removes but where it says so. A
-- `SELECT … FOR UPDATE` sees only what could be changed.
-- Neither sub-select looks at the row: PostgreSQL computes them once for a statement, not for every row.
-- A statement that acts for one party names it too, and an index finds the rows by that, in their order. `coalesce` keeps
-- the planner from guessing how many parties are bound, and so from taking a large party for a small one.

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

-- A party sees its own events, and nobody those of two; the numberer alone adds them, nobody changes or removes one.

ALTER TABLE record_look ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_look FORCE ROW LEVEL SECURITY;
CREATE POLICY record_look_seen ON record_look FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
-- Whoever reads adds, and does nothing else to it.
CREATE POLICY record_look_added ON record_look FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'read'
    )
);

ALTER TABLE event ENABLE ROW LEVEL SECURITY;
ALTER TABLE event FORCE ROW LEVEL SECURITY;
CREATE POLICY event_seen ON event FOR SELECT USING (
    party = (SELECT current_setting('causeway.parties', true))
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'event' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY event_added ON event FOR INSERT WITH CHECK (
    (SELECT current_setting('causeway.role', true) = 'service' AND current_setting('causeway.action', true) = 'number')
);

ALTER TABLE case_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_file FORCE ROW LEVEL SECURITY;
CREATE POLICY case_file_seen ON case_file FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_file_added ON case_file FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND case_file.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY case_file_changed ON case_file FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND case_file.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND case_file.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'case')
);

ALTER TABLE case_edge ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_edge FORCE ROW LEVEL SECURITY;
CREATE POLICY case_edge_seen ON case_edge FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_edge_added ON case_edge FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )
);
CREATE POLICY case_edge_changed ON case_edge FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE case_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_act FORCE ROW LEVEL SECURITY;
CREATE POLICY case_act_seen ON case_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_act_added ON case_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_lease FORCE ROW LEVEL SECURITY;
CREATE POLICY case_lease_seen ON case_lease FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_lease_added ON case_lease FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_passed ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passed FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passed_seen ON case_passed FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passed_added ON case_passed FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);

ALTER TABLE case_passing ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_passing FORCE ROW LEVEL SECURITY;
CREATE POLICY case_passing_seen ON case_passing FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_added ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'refer'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'refer' AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_amended ON case_passing FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_passing_changed ON case_passing FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply'
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = 'apply' AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE case_contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_contact FORCE ROW LEVEL SECURITY;
CREATE POLICY case_contact_seen ON case_contact FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_contact_added ON case_contact FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_contact_changed ON case_contact FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE case_location ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_location FORCE ROW LEVEL SECURITY;
CREATE POLICY case_location_seen ON case_location FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY case_location_added ON case_location FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND current_setting('causeway.action', true) = 'apply' AND current_setting('causeway.role', true) = 'service'
);
CREATE POLICY case_location_removed ON case_location FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);

ALTER TABLE hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold FORCE ROW LEVEL SECURITY;
CREATE POLICY hold_seen ON hold FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY hold_added ON hold FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY hold_changed ON hold FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'case' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE preservation ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_seen ON preservation FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_added ON preservation FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY preservation_changed ON preservation FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND preservation.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND preservation.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'preservation')
);

ALTER TABLE preservation_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE preservation_act FORCE ROW LEVEL SECURITY;
CREATE POLICY preservation_act_seen ON preservation_act FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY preservation_act_added ON preservation_act FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'preservation' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action <> 'read'
    )
);

ALTER TABLE question ENABLE ROW LEVEL SECURITY;
ALTER TABLE question FORCE ROW LEVEL SECURITY;
CREATE POLICY question_seen ON question FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY question_added ON question FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY question_changed ON question FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);

ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_seen ON webhook FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY webhook_added ON webhook FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND webhook.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )::text[])
);
CREATE POLICY webhook_changed ON webhook FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND webhook.state = ANY ((
        SELECT array_agg(p.state) FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )::text[])
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
    -- Wherever it leads, it is a state that somebody may do something in.
    AND webhook.state IN (SELECT p.state FROM permitted AS p WHERE p.resource = 'webhook')
);

ALTER TABLE webhook_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_delivery_seen ON webhook_delivery FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY webhook_delivery_added ON webhook_delivery FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action IN ('submit', 'apply')
    )
);
CREATE POLICY webhook_delivery_changed ON webhook_delivery FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true) AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.resource = 'webhook' AND p.action = current_setting('causeway.action', true)
          AND p.role = current_setting('causeway.role', true)
    )
);

-- What clocks keep is of whatever its party acts on: any act that its role may do, on whichever resource, sees and
-- writes it. Timers are written by `apply`, and by `submit`: they follow from the edges of what is filed and from the
-- law. `apply` alone removes, from any of them.

ALTER TABLE clocked ENABLE ROW LEVEL SECURITY;
ALTER TABLE clocked FORCE ROW LEVEL SECURITY;
CREATE POLICY clocked_seen ON clocked FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY clocked_added ON clocked FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'release', 'apply')
    )
);
CREATE POLICY clocked_changed ON clocked FOR UPDATE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
) WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY clocked_removed ON clocked FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'apply'
    )
);

ALTER TABLE clock_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE clock_step FORCE ROW LEVEL SECURITY;
CREATE POLICY clock_step_seen ON clock_step FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY clock_step_added ON clock_step FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action NOT IN ('read', 'submit')
    )
);
CREATE POLICY clock_step_removed ON clock_step FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'apply'
    )
);

ALTER TABLE timer ENABLE ROW LEVEL SECURITY;
ALTER TABLE timer FORCE ROW LEVEL SECURITY;
CREATE POLICY timer_seen ON timer FOR SELECT USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
    )
);
CREATE POLICY timer_added ON timer FOR INSERT WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'apply')
    )
);
CREATE POLICY timer_removed ON timer FOR DELETE USING (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action = 'apply'
    )
);

-- What the service may touch at all: where no policy lets a row be changed or removed, none is. What the accountant may
-- read, to reconcile the databases: of the outbox what is on its way, not what it says.

EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        lane_end, lane, segment, outbox, settled, mark, lease, pair_sequence, closed_epoch, life, inbox,
        pair_taken, gone, awaiting, topic_cursor, topic_reader, topic_lease, quarantine, peer, document, data_key,
        erased_record, ending, api_key, console_person, console_link, console_session, idempotency
     TO %I', service);
EXECUTE format(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON
        case_file, case_edge, case_act, hold, preservation, preservation_act, question, webhook, webhook_delivery,
        clocked, clock_step, timer
     TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON erasure_place TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON event_unnumbered TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON event, record_look TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON feed TO %I', service);
EXECUTE format('GRANT SELECT, UPDATE ON feed_numberer TO %I', service);
EXECUTE format('GRANT SELECT, INSERT ON case_lease, case_passed, case_passing TO %I', service);
EXECUTE format('GRANT UPDATE (refused) ON case_passing TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, UPDATE ON case_contact TO %I', service);
EXECUTE format('GRANT SELECT, INSERT, DELETE ON case_location TO %I', service);
EXECUTE format('GRANT SELECT ON permitted, compacted TO %I', service);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
EXECUTE format(
    'GRANT SELECT ON
        lane_end, lane, settled, pair_sequence, closed_epoch, inbox, compacted
     TO %I', accountant);
EXECUTE format(
    'GRANT SELECT (
        message_id, lane, position, type, sender, recipient, epoch, sequence, digest, outcome, code, done, aside)
     ON outbox TO %I', accountant);
EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', accountant);

-- Of isolated tables the accountant reads ids, states, times, answers and coded outcomes, for counting only, whoever's
-- they are: no words of items, no references, not which item was gone already, nor why one was held.

EXECUTE format('GRANT SELECT (referral_id, party, state) ON case_file TO %I', accountant);
EXECUTE format('CREATE POLICY case_file_counted ON case_file FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (referral_id, party, purpose) ON case_edge TO %I', accountant);
EXECUTE format('CREATE POLICY case_edge_counted ON case_edge FOR SELECT TO %I USING (true)', accountant);
EXECUTE format('GRANT SELECT (preservation_id, party, state) ON preservation TO %I', accountant);
EXECUTE format('CREATE POLICY preservation_counted ON preservation FOR SELECT TO %I USING (true)', accountant);

END $migration$;

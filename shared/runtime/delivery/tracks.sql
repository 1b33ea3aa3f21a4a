-- The tracks that are shared with peers (shared/messaging/tracks.py). A row belongs to the instance, never to one party.
-- `side`: 0 subjects of the peer held here, 1 answers of the peer on own subjects, 2 own subjects there, 3 own answers
-- there. `subject` is the key of the track, `item` the subject of its messages. A withdrawn subject is a tombstone.
-- `edges` of side 0: by id, the highest revision and the digest of its content. Other content needs a higher revision.
CREATE TABLE track (
    peer text NOT NULL,
    side smallint NOT NULL,
    subject uuid NOT NULL,
    item uuid NOT NULL,
    owner text NOT NULL,
    other text NOT NULL,
    acts uuid[] NOT NULL DEFAULT '{}',
    edges jsonb NOT NULL DEFAULT '{}',
    is_withdrawn boolean NOT NULL DEFAULT false,
    is_erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (peer, side, subject)
) WITH (fillfactor = 70);
CREATE INDEX track_item ON track (item);
COMMENT ON TABLE track IS 'Retention: 3,653 days from the day of its subject; after an erasure without its acts.';

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE, DELETE', 'track');

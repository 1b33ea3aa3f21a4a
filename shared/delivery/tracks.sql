-- The tracks that are shared with peers (shared/messaging/tracks.py). A row belongs to the instance, never to one
-- party. `side`: 0 subjects of the peer held here, 1 answers of the peer on own subjects, 2 own subjects there, 3 own
-- answers there. `subject` is that of the track's messages. A withdrawn subject is a tombstone.
-- `owner` and `recipient` are the parties of the subject, on each side.
-- `track_edges` of side 0: by id, the highest revision and the digest of its content, as text. Other content needs a higher
-- revision.
-- Tables of subjects inherit these columns: the first edge of a track, and what was received, are rows of theirs. A key
-- is in one of them. `peer` is empty in rows of theirs that are no track.
CREATE TABLE track (
    track uuid NOT NULL,
    subject uuid,
    side smallint NOT NULL,
    is_withdrawn boolean NOT NULL DEFAULT false,
    is_erased boolean NOT NULL DEFAULT false,
    peer text NOT NULL,
    owner text,
    recipient text,
    track_acts uuid[],
    track_edges jsonb,
    PRIMARY KEY (peer, side, track)
) WITH (fillfactor = 70);
CREATE INDEX track_subject ON track (subject);
COMMENT ON TABLE track IS 'Retention: 3,653 days from the day of its subject; after an erasure without its acts.';

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE (track_acts, track_edges, is_withdrawn, is_erased)', 'track'),
    pg_temp.grant_accountant('SELECT (peer, side, track, subject, owner, recipient, track_acts, is_withdrawn, is_erased)', 'track');

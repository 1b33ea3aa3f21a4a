-- Cases that one agency has passed on to another: an edge without a message of ours, on which the other answers.
DO $migration$
BEGIN

ALTER TABLE edge DROP CONSTRAINT edge_state;
ALTER TABLE edge
    ADD CONSTRAINT edge_state CHECK (
        state IN ('emitted', 'waiting', 'planned', 'referred', 'superseded', 'dropped')),
    ADD CONSTRAINT edge_referred CHECK ((state = 'referred') <= (message_id IS NULL));
ALTER TABLE edge ALTER COLUMN attention SET EXPRESSION AS (
    CASE WHEN taken_back OR state NOT IN ('emitted', 'waiting', 'referred') THEN NULL
         WHEN state = 'waiting' OR unread THEN decided_at
         WHEN receipt IS NOT NULL THEN receipted_at
         WHEN answer IN ('declined', 'rejected', 'not_ours', 'reappeared') THEN answered_at
         WHEN rank = 0 AND answer IN ('none', 'acknowledged', 'in_part', 'accepted', 'ongoing') THEN decided_at
    END);

END $migration$;

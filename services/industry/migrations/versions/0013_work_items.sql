DO $migration$ BEGIN

-- Work items are led by the open notices, in the order of their places.
CREATE INDEX notice_open ON notice (party, place)
    WHERE place IS NOT NULL AND state IN ('acknowledged', 'in_part', 'issued', 'reappeared');

END $migration$;

-- What agencies have passed on and have again stands on the list of its origin.
DO $migration$
BEGIN

CREATE INDEX edge_came_back ON edge (party, rank, answered_at) WHERE answer_detail ? 'stands';

END $migration$;

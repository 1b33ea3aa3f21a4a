-- Amendments: the revision that stands of each case, and of each edge; what an accepted case had before stays beside it.
DO $migration$
BEGIN

ALTER TABLE case_file ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE case_edge
    ADD COLUMN revision integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT case_edge_pkey,
    ADD CONSTRAINT case_edge_pkey PRIMARY KEY (referral_id, party, purpose, revision);

END $migration$;

DO $migration$ BEGIN

-- Looking through the list: by who sent it, alone and with what lists are looked through for already, and by when it came.
CREATE INDEX case_file_from ON case_file (party, origin, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_from_by_state ON case_file (party, origin, state, place) WHERE place IS NOT NULL;
CREATE INDEX case_file_at_risk_from ON case_file (party, origin, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_at_risk_from_by_state ON case_file (party, origin, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX case_file_by_time ON case_file (party, received_at) WHERE arrival IS NOT NULL;

-- What an agency's own reference is found by: a keyed token. Whoever has the rows can tell which cases the agency calls
-- alike, and not how.
ALTER TABLE case_file ADD COLUMN reference_token bytea, ADD CONSTRAINT case_token CHECK (octet_length(reference_token) = 16);
CREATE INDEX case_file_by_reference ON case_file (party, reference_token, referral_id) WHERE reference_token IS NOT NULL;

END $migration$;

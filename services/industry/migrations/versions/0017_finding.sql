DO $migration$ BEGIN

-- Looking through the list: by who sent it, alone and with what lists are looked through for already, and by when it came.
CREATE INDEX notice_from ON notice (party, contact, place) WHERE place IS NOT NULL;
CREATE INDEX notice_from_by_state ON notice (party, contact, state, place) WHERE place IS NOT NULL;
CREATE INDEX notice_at_risk_from ON notice (party, contact, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_at_risk_from_by_state ON notice (party, contact, state, place)
    WHERE priority = 'p0_child_at_risk' AND place IS NOT NULL;
CREATE INDEX notice_by_time ON notice (party, received_at) WHERE arrival IS NOT NULL;

CREATE INDEX referral_at_risk ON referral (party, arrival) WHERE rank = 0 AND arrival IS NOT NULL;
CREATE INDEX referral_at_risk_by_state ON referral (party, state, arrival) WHERE rank = 0 AND arrival IS NOT NULL;
CREATE INDEX referral_by_time ON referral (party, accepted_at) WHERE arrival IS NOT NULL;
CREATE INDEX edge_sent ON edge (party, recipient, referral_id);

END $migration$;

-- Referrals to examine: an agency has accepted one, or one was found to name a known location. One row for each time,
-- so that a row added during the examination stays. A writer of this table can suppress suggestions.
CREATE TABLE contact_suggestion_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    referral_id uuid NOT NULL,
    party text NOT NULL
);

-- The suggestions made: for each of an agency's cases, each other agency once, and again after the agency's restore.
CREATE TABLE contact (
    party text NOT NULL,
    referral_id uuid NOT NULL,
    agency text NOT NULL,
    other_agency text NOT NULL,
    reason text NOT NULL,
    other_referral_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (referral_id, agency, other_agency)
);

SELECT pg_temp.grant_service('SELECT, INSERT, DELETE', 'contact_suggestion_queue, contact');
SELECT pg_temp.isolate('contact_suggestion_queue', 'referral', added => 'apply', removed => 'apply');
SELECT pg_temp.isolate('contact', 'referral', added => 'apply', removed => 'apply');

DO $migration$
DECLARE
    service text := current_database();
    accountant text := current_database() || '_accountant';
BEGIN

-- What the operator's tool has found of the books of all sides (services.audit.ports.Accounts). It adds, as the
-- accountant, and changes nothing; the service reads.
CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kept_at timestamptz NOT NULL DEFAULT now(),
    told jsonb NOT NULL
);

-- Whose a flow is: of each decision that was stated its origin and whom it was sent to, by that origin's word, with the
-- time at which that origin stated first that it decided. '' where audit could not open who the origin is.
CREATE TABLE flow_party (
    party text NOT NULL,
    exercise boolean NOT NULL,
    decided_at timestamptz NOT NULL,
    referral_id uuid NOT NULL,
    origin text NOT NULL,
    PRIMARY KEY (referral_id, origin, party)
);
CREATE INDEX flow_party_listed ON flow_party (party, exercise, decided_at, referral_id);
CREATE INDEX flow_party_filed ON flow_party (exercise, decided_at, referral_id) WHERE party = origin;

INSERT INTO flow_party (party, exercise, decided_at, referral_id, origin)
SELECT DISTINCT ON (d.referral_id, d.origin, p.party) p.party, d.exercise, d.decided_at, d.referral_id, d.origin
FROM (SELECT subject::uuid AS referral_id, coalesce(detail->>'origin', '') AS origin, exercise,
             min(broker_time) AS decided_at
      FROM entry
      WHERE kind = 'decision' AND exercise IS NOT NULL AND subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      GROUP BY 1, 2, 3) AS d
     CROSS JOIN LATERAL (
         SELECT d.origin AS party
         UNION SELECT l.recipient FROM link AS l WHERE l.referral_id = d.referral_id AND l.origin = d.origin
     ) AS p
ORDER BY d.referral_id, d.origin, p.party, d.decided_at;

-- Flows are looked for by party and period there from here on.
DROP INDEX entry_by_decision;

EXECUTE format('GRANT SELECT, INSERT ON flow_party TO %I', service);
EXECUTE format('GRANT SELECT ON reconciliation TO %I', service);
EXECUTE format('GRANT INSERT ON reconciliation TO %I', accountant);

END $migration$;

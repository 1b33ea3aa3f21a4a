-- Calls about cases: one row at the agency and one at the origin. The id is that of the act that proposed the call.
CREATE TABLE call (
    call_id uuid NOT NULL,
    party text NOT NULL,
    referral_id uuid NOT NULL,
    counterpart text NOT NULL,
    call_at timestamptz NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (call_id, party),
    CONSTRAINT call_state CHECK (state IN ('proposed', 'confirmed'))
);

SELECT pg_temp.grant_service('SELECT, INSERT, UPDATE', 'call');
SELECT pg_temp.isolate('call', NULL, added => 'acts', changed => 'acts');

-- Each service permits the act of its own side.
INSERT INTO permission (resource, action, role, state)
SELECT cell.resource, cell.action, role, state
FROM (VALUES
    ('case', 'propose_call', 'offered accepted ongoing'),
    ('referral', 'confirm_call', 'routed')
) AS cell (resource, action, states),
    string_to_table(cell.states, ' ') AS state, (VALUES ('analyst'), ('machine')) AS allowed (role)
WHERE EXISTS (SELECT FROM permission AS p WHERE p.resource = cell.resource);

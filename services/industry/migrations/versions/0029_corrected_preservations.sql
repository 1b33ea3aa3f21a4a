-- A provider corrects what it has answered of a preservation, as long as nothing else is asked of it.
-- Whoever can write this table can let a role do what the rows of acts do not.
DO $migration$
BEGIN

INSERT INTO permitted (resource, action, role, state)
SELECT 'preservation', 'correct', one_role, one_state
FROM string_to_table('analyst machine', ' ') AS one_role,
    string_to_table('preserved refused not_possible too_late', ' ') AS one_state;

END $migration$;

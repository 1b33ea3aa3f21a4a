-- Functions for the grants and policies of schema files. They belong to the session that runs a revision: no database
-- stores them, and their names begin with `pg_temp`. Role names derive from the database's name.

CREATE OR REPLACE FUNCTION pg_temp.grant_service(rights text, place text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    EXECUTE format('GRANT %s ON %s TO %I', rights, place, current_database());
END $function$;

CREATE OR REPLACE FUNCTION pg_temp.grant_accountant(rights text, place text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    EXECUTE format('GRANT %s ON %s TO %I', rights, place, current_database() || '_accountant');
END $function$;

-- In isolated tables, the accountant reads ids, states, times, answers and coded outcomes of all parties, for counting
-- only. It reads no text of items and no references, nor which item was already removed, nor the reason of a hold.
CREATE OR REPLACE FUNCTION pg_temp.let_count(isolated text, columns text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM pg_temp.grant_accountant(format('SELECT (%s)', columns), isolated);
    EXECUTE format('CREATE POLICY %1$s_counted ON %1$s FOR SELECT TO %2$I USING (true)',
                   isolated, current_database() || '_accountant');
END $function$;

-- Row-level security: PostgreSQL's own check of each access to a row, below every use case. A row is visible and
-- changeable only if its `party` is in the scope of the transaction *and* a row of `permission` allows the role of the
-- scope its action in the row's present state. Without a scope, no row is visible. The check also applies to the owner.
-- A client with the owner's role can change the policies; the service's login role cannot.
-- Rows are seen by party, role and action. They are added and changed only in a state in which the action is permitted,
-- or, in a table without states, if it is permitted in any state. `read` only sees, `submit` only adds, `apply` adds
-- and changes. Every other action changes its row, and adds related rows. An action removes rows only if a policy says
-- so. A `SELECT … FOR UPDATE` sees only rows that could be changed.
-- Neither sub-select depends on the row, so PostgreSQL computes each once for a statement, not for every row.
-- A statement that acts for one party also names it, so that an index finds the rows in order. `coalesce` keeps the
-- planner from estimating the number of parties in the scope, and so from taking a large party for a small one.

CREATE OR REPLACE FUNCTION pg_temp.bound() RETURNS text LANGUAGE sql AS $function$
    SELECT $text$coalesce(
        party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)$text$
$function$;

-- The rows of `permission` for the present scope: of one resource, or of any if it is null. `actions` names the actions
-- that count: a list, `acts` (all but `read` and `submit`), `writes` (all but `read`), or all if it is null.
CREATE OR REPLACE FUNCTION pg_temp.permits(resource text, actions text) RETURNS text LANGUAGE sql AS $function$
    SELECT 'permission AS p WHERE ' || coalesce('p.resource = ' || quote_literal(resource) || ' AND ', '')
        || $text$p.action = current_setting('causeway.action', true)$text$
        || $text$ AND p.role = current_setting('causeway.role', true)$text$
        || CASE
               WHEN actions IS NULL THEN ''
               WHEN actions = 'acts' THEN $text$ AND p.action NOT IN ('read', 'submit')$text$
               WHEN actions = 'writes' THEN $text$ AND p.action <> 'read'$text$
               ELSE (SELECT format(' AND p.action IN (%s)', string_agg(quote_literal(action), ', '))
                     FROM string_to_table(actions, ' ') AS action)
           END
$function$;

-- Policies of a table without states: the resource for seeing its rows, and the actions that add, change and remove
-- them.
CREATE OR REPLACE FUNCTION pg_temp.isolate(
    isolated text, resource text, added text DEFAULT NULL, changed text DEFAULT NULL, removed text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    made record;
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', isolated);
    FOR made IN
        SELECT * FROM (VALUES
            ('seen', 'SELECT USING', '', ''), ('added', 'INSERT WITH CHECK', added, added),
            ('changed', 'UPDATE USING', changed, changed), ('removed', 'DELETE USING', removed, removed)
        ) AS policy (name, command, given, actions) WHERE given IS NOT NULL
    LOOP
        EXECUTE format('CREATE POLICY %1$s_%2$s ON %1$s FOR %3$s (%4$s AND EXISTS (SELECT 1 FROM %5$s))',
                       isolated, made.name, made.command, pg_temp.bound(),
                       pg_temp.permits(resource, nullif(made.actions, '')));
    END LOOP;
END $function$;

-- Policies of a table whose rows have the states of `permission`: of one resource, or of the one that the row's `kind`
-- names. The new state of a change must be one in which some action is permitted.
CREATE OR REPLACE FUNCTION pg_temp.isolate_by_state(isolated text, resource text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    seen text := pg_temp.bound() || ' AND ' || format(
        CASE WHEN resource IS NULL THEN 'kind = ANY ((SELECT array_agg(p.resource) FROM %s)::text[])'
             ELSE 'EXISTS (SELECT 1 FROM %s)' END, pg_temp.permits(resource, NULL));
    stands text := CASE WHEN resource IS NULL
        THEN $text$%s AND kind || ' ' || state = ANY ((
            SELECT array_agg(p.resource || ' ' || p.state) FROM %s)::text[])$text$
        ELSE '%s AND state = ANY ((SELECT array_agg(p.state) FROM %s)::text[])' END;
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', isolated);
    EXECUTE format('CREATE POLICY %1$s_seen ON %1$s FOR SELECT USING (%2$s)', isolated, seen);
    EXECUTE format('CREATE POLICY %1$s_added ON %1$s FOR INSERT WITH CHECK (%2$s)', isolated,
                   format(stands, pg_temp.bound(), pg_temp.permits(resource, 'submit apply')));
    EXECUTE format('CREATE POLICY %1$s_changed ON %1$s FOR UPDATE USING (%2$s) WITH CHECK (%3$s)', isolated,
                   format(stands, pg_temp.bound(), pg_temp.permits(resource, 'acts')),
                   format(stands, seen, coalesce('permission AS p WHERE p.resource = ' || quote_literal(resource),
                                                 'permission AS p')));
END $function$;

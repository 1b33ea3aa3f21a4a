-- What the schema files say grants and policies with. The functions belong to the session that runs a revision: no
-- database keeps them, and their names begin with `pg_temp`. Role names follow the database's.

CREATE OR REPLACE FUNCTION pg_temp.grant_service(rights text, place text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    EXECUTE format('GRANT %s ON %s TO %I', rights, place, current_database());
END $function$;

CREATE OR REPLACE FUNCTION pg_temp.grant_accountant(rights text, place text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    EXECUTE format('GRANT %s ON %s TO %I', rights, place, current_database() || '_accountant');
END $function$;

-- Of isolated tables the accountant reads ids, states, times, answers and coded outcomes, for counting only, whoever's
-- they are: no words of items, no references, not which item was gone already, nor why one was held.
CREATE OR REPLACE FUNCTION pg_temp.let_count(isolated text, columns text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM pg_temp.grant_accountant(format('SELECT (%s)', columns), isolated);
    EXECUTE format('CREATE POLICY %1$s_counted ON %1$s FOR SELECT TO %2$I USING (true)',
                   isolated, current_database() || '_accountant');
END $function$;

-- Row-level security: PostgreSQL's own answer to who may do what to which row, below every use case. A row is visible
-- and changeable only if its `party` is among those the transaction was bound to *and* a row of `permitted` allows the
-- bound role the bound action in the row's present state. Nothing bound means nothing visible. It is forced on the
-- owner too; whoever holds the owner's role can change the policies, the service's login role cannot.
-- Rows are seen by party, role and action; added and changed only in a state in which the action is permitted, or, in a
-- table without states, where it is permitted in any. `read` only sees, `submit` only adds, `apply` adds and changes,
-- every other action changes, and adds what lies beside its row; none removes but where it says so. A
-- `SELECT … FOR UPDATE` sees only what could be changed.
-- Neither sub-select looks at the row: PostgreSQL computes them once for a statement, not for every row.
-- A statement that acts for one party names it too, and an index finds the rows by that, in their order. `coalesce`
-- keeps the planner from guessing how many parties are bound, and so from taking a large party for a small one.

CREATE OR REPLACE FUNCTION pg_temp.bound() RETURNS text LANGUAGE sql AS $function$
    SELECT $text$coalesce(
        party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)$text$
$function$;

-- The rows of `permitted` for what is bound: of one resource, or of any if it is null. `actions` names those that
-- count: a list, `acts` (all but `read` and `submit`), `writes` (all but `read`), or all if it is null.
CREATE OR REPLACE FUNCTION pg_temp.permits(resource text, actions text) RETURNS text LANGUAGE sql AS $function$
    SELECT 'permitted AS p WHERE ' || coalesce('p.resource = ' || quote_literal(resource) || ' AND ', '')
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

-- Policies of a table without states: who sees its rows, and with which actions they are added, changed and removed.
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

-- Policies of a table whose rows have the states of `permitted`: of one resource, or of the one that the row's `kind`
-- names. Wherever a change leads, it is a state that somebody may do something in.
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
                   format(stands, seen, coalesce('permitted AS p WHERE p.resource = ' || quote_literal(resource),
                                                 'permitted AS p')));
END $function$;

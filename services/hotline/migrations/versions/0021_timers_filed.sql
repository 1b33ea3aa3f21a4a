-- Timers of what is filed are made as it is filed: they follow from its edges, which whoever files adds, and the law.
DO $migration$
BEGIN

ALTER POLICY timer_added ON timer WITH CHECK (
    coalesce(party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[]), false)
    AND EXISTS (
        SELECT 1 FROM permitted AS p
        WHERE p.action = current_setting('causeway.action', true) AND p.role = current_setting('causeway.role', true)
          AND p.action IN ('submit', 'apply')
    )
);

END $migration$;

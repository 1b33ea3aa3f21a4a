-- Who of an organisation has looked, by the opaque name under which what they do is kept. Of looks before, nobody knows.
DO $migration$
BEGIN

ALTER TABLE reading ADD COLUMN actor text;

-- What a party calls one of its people, for the others of it. Auditors' looks bear opaque names all the same.
ALTER TABLE console_person ADD COLUMN called text CHECK (length(called) <= 60);

END $migration$;

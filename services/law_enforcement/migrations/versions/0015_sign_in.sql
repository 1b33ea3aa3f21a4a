-- When their provider last had a session's person prove who they are; nothing where nobody says so.
ALTER TABLE console_session ADD COLUMN proven_at timestamptz;

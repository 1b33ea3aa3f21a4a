-- What nobody has claimed yet stands on its origin's list.
CREATE INDEX transfer_unclaimed ON transfer (party, offered_at) WHERE claimed_at IS NULL;

-- What nobody has claimed yet stands on its origin's list, what may be claimed or was handed over on that of the hotline.
DO $migration$
BEGIN

CREATE INDEX transfer_unclaimed ON transfer (party, offered_at) WHERE claimed_at IS NULL;
CREATE INDEX offer_of_transfers ON offer (party, changed_at) WHERE state IN ('claimable', 'transferred');

END $migration$;

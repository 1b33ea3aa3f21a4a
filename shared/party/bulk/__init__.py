"""Many acts in one request, on what was sent to a party: each taken or refused by itself, all in one transaction."""

"""Pure parts: codes, contracts, acts, guard, routing, envelope, and the protocol that uses them."""

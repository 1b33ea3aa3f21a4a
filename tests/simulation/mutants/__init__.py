"""Mutants of the messaging room: small faults in its code, each of which a test should find."""

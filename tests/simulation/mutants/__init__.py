"""Mutants of `shared.messaging`: small faults in its code, each of which a test should find."""

"""Withdrawals that no person answers, and the end of retention."""

"""Withdrawals that nobody answers in time, and records past their last day: erased or retained by rule."""

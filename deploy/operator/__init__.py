"""What an operator asks and does: the state of everything, what is wrong, and the acts that mend it."""

"""The table of acts, and the states that follow from it."""

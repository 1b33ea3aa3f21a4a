"""A party's verbs of the program `causeway`. Each module imports what it needs only when its verb runs."""

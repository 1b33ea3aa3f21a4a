"""PostgreSQL storage of a recipient: the items that other parties sent, and those that need a person."""

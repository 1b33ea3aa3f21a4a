"""What a recipient keeps, in PostgreSQL: what others sent, and what of it needs a person."""

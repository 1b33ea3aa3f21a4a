"""Monthly statistics: figures from every origin's database, merged until none is small, and published once."""

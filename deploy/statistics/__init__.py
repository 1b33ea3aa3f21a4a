"""What a month came to: figures read from every origin's books, merged until none is small, and published once."""

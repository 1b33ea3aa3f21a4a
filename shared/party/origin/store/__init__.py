"""An origin's tables and rows in PostgreSQL."""

"""Rows of acts, a file for each kind of act; `shared.exchange.acts` puts them into the one table. Data only."""

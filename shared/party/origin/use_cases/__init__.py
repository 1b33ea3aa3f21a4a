"""What an origin does: one function or class per intention."""

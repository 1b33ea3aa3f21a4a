"""Sample parties that answer automatically: separate processes that use HTTP only, each party with its own key."""

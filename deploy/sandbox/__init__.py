"""Sample parties that answer by themselves: separate processes that speak HTTP only, each party with its own key."""

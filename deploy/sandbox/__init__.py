"""Sample parties that answer automatically: separate processes over HTTP, with each party's own key."""

"""How a party's people and machines reach the services: over HTTP only. Knows no database and no broker."""

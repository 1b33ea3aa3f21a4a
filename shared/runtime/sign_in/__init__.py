"""Where people of parties prove who they are: each party's own provider of OpenID Connect, and what it says."""

"""Sign-in of people at their party's own OpenID Connect provider."""

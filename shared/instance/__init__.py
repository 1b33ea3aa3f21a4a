"""The assembly of a running instance from its machinery and parts."""

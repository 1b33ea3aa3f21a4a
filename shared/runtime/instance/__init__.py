"""The instance room: what one running instance is wired from, and its parts."""

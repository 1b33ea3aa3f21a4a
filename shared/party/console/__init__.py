"""The web doors that all services' parties have: what was sent to them, what needs a person, what falls due."""

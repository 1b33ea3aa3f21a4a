"""Features of parties, each in a folder of its own, in floors: a feature imports only features of lower floors."""

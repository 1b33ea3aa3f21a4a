"""The service of hotlines. New services copy its structure. README.md describes it."""

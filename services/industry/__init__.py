"""The service of providers: notices issued to a provider, and its own submissions. See README.md."""

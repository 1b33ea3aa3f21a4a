"""The providers' service: notices issued to a provider, and its own filings. README.md says more."""

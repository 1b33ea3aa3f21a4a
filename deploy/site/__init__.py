"""Where an installation is: its instances, addresses, credentials and TLS. Whatever runs or looks stands on this."""

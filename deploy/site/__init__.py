"""The location of an installation: its instances, addresses, credentials and TLS.

Most code in `deploy` needs it.
"""

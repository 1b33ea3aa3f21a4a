"""Messaging between instances: numbered streams, segments, acknowledgements, exceptions, incarnations and resync."""

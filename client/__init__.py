"""The client of a party's people and machines.

It reaches the services over HTTP only, never a database or broker.
"""

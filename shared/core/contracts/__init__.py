"""The messages and documents.

One file per family; `registry` lists every message type with its version.
"""

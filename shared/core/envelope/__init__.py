"""The envelope of a message: CloudEvents headers, signed canonical bytes, sealing.

Pure; `cryptography` only.
"""

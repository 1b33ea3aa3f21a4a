"""Holds: notices that wait until an agency permits them, and their override by two people."""

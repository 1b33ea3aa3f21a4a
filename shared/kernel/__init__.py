"""The base of every other package: identifiers, time, canonical bytes and the error tree. Standard library only."""

"""What every other package may use: identifiers, time, canonical bytes and the error tree. Standard library only."""

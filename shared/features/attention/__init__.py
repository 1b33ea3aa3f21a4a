"""The attention list: subjects that wait for a person of the party."""

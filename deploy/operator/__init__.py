"""The operator's commands: the state of an installation, its faults, and the acts that repair them."""

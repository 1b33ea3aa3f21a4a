"""The outward door: events go to the addresses that parties have registered, and to nowhere else."""

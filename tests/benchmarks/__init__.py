"""`make bench`: how fast the exchange is, against the raw limit of the same machine in the same run."""

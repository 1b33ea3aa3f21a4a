"""`make bench`: the speed of the exchange, compared with the raw limit of the same machine in the same run."""

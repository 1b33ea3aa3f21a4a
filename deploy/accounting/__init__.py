"""`causeway audit reconcile`: compare the counts in databases that different roles keep apart."""

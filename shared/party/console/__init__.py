"""Console pages of all parties: received subjects, the attention list and deadlines."""

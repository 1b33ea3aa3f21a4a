"""What only audit decides: what it keeps of a record, and what has become of a topic that it reads."""

"""The cost of a referral in counters of the servers: rows, statements, WAL, Kafka records, key operations."""

"""Kafka for messaging: the log that an instance writes, and the partitions that it reads."""

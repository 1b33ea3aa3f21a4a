"""The Kafka room: the only code that knows a Kafka client."""

"""Topics and access rules of Kafka as data, and the code that applies them to a cluster."""

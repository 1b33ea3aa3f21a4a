"""Topics and access rules of Kafka as data, and what applies them to a cluster."""

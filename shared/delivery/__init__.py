"""Delivery: adapters between messaging and the features of an instance, over PostgreSQL and Kafka."""

"""The development stack: embedded PostgreSQL, real Apache Kafka and the instances, under one supervisor."""

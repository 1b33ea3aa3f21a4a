"""The technical base of every service: HTTP, database, Kafka, pages, keys and observability."""

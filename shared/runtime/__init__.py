"""The machinery: everything that touches Kafka, PostgreSQL, HTTP and telemetry. Services bring only decisions."""

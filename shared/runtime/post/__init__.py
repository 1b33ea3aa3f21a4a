"""The post room: outbox, relay, inbox, consumer and quarantine, over ports; knows no Kafka client and no HTTP."""

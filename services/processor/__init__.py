"""The stream processor: Kafka messages in, priced rows and rollups out, once each."""

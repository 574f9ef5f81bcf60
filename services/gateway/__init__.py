"""The door: admits usage events over HTTP and gRPC, answers once Kafka has them."""

"""The keyspace of BullMQ as a library: names, facts, reads, and one writer. Needs redis-py only."""

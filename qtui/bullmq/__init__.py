"""The keyspace of BullMQ as a library: names, facts, reads, writers. Needs redis-py only."""

"""Actions on whole queues."""

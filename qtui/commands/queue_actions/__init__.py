"""Commands that act on whole queues."""

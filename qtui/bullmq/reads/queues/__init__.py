"""Which queues there are, and who works on them."""

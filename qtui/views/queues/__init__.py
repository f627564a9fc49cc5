"""What is known about the queues, and its words."""

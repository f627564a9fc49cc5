"""Actions on whole queues: pause, resume."""

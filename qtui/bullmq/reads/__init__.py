"""Reads the current state of queues, jobs and workers. Never writes."""

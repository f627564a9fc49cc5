"""What happens to jobs, as the events streams of their queues say. Reads only."""

"""What a queue, its jobs and its events look like now. Reads only."""

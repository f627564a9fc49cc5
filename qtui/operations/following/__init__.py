"""What became of the jobs."""

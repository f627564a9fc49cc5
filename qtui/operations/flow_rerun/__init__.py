"""A flow's rerun: of its failed jobs only, or of all jobs."""

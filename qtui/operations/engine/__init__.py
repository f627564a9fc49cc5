"""The engine: sends jobs to Redis in the same way for every operation."""

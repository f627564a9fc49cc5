"""Verdicts: why a queue does nothing, and why a job is where it is. Reads only."""

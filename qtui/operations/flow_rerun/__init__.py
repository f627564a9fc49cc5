"""A flow rerun from failure or from the start."""
